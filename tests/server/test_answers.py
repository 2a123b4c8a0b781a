"""Over the real spine and the scripted engine: what the parts above and below agree on."""

from __future__ import annotations

import asyncio
import json

from puna.chat import Spine
from puna.engines.scripted import WORDS, Scripted
from puna.formats import catalog
from puna.formats.counting import PromptCounter
from puna.generation import Receipt
from puna.server.answers import answer_to, chosen, note_of, value_of
from puna.wire.dialect import Facts


def talk(body: dict[str, object], *, streams: bool) -> tuple[str, list[bytes], list[Receipt]]:
    async def one() -> tuple[str, list[bytes], list[Receipt]]:
        engine = Scripted()
        form = catalog.get("chatml")
        spine = Spine(engine, await engine.start(), form, counter=lambda: PromptCounter(form, WORDS))
        value = value_of(json.dumps(body).encode())
        answer = await answer_to(spine, chosen("auto", value, {}), value, facts=Facts("id", 0, "m"), streams=streams)
        receipts: list[Receipt] = []
        return answer.origin, [record async for record in answer.records(receipts.extend, lambda: None)], receipts

    return asyncio.run(one())


def test_a_written_llama_2_prompt() -> None:
    origin, records, (receipt,) = talk({"prompt": "<s>[INST] What is a llama? [/INST]"}, streams=True)
    assert origin == "translated; from=llama2; to=chatml"
    texts = [json.loads(record)["outputs"][0] for record in records]
    assert "".join(texts) == "You said: What is a llama?"
    assert len(texts) > 1
    assert note_of([receipt]).startswith("translated llama2->chatml ")


def test_messages_and_a_whole_answer() -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "seed": 3, "max_tokens_to_sample": 9}
    origin, records, (receipt,) = talk(body, streams=False)
    assert origin == "rendered; to=chatml"
    assert records == [b'{"outputs": ["You said: Hi"]}\n']
    assert receipt.sampling.seed == 3
    assert "seed" not in receipt.defaulted
    assert "temperature" in receipt.defaulted


def test_plain_text_goes_as_it_is() -> None:
    origin, _, (receipt,) = talk({"prompt": "Once upon a time"}, streams=True)
    assert origin == "as-is"
    assert note_of([receipt]).startswith("as-is ")


def test_several_answers_to_several_prompts_come_together_with_their_numbers() -> None:
    body = {"prompt": ["one", "two"], "n": 2, "seed": 5, "max_tokens": 9, "stream": True}
    _, records, receipts = talk(body, streams=False)
    *chunks, done = records
    assert done == b"data: [DONE]\n\n"
    texts = dict.fromkeys(range(4), "")
    for chunk in chunks:
        (choice,) = json.loads(chunk.removeprefix(b"data: "))["choices"]
        texts[choice["index"]] += choice["text"]
    assert texts == {0: "You said: one", 1: "You said: one", 2: "You said: two", 3: "You said: two"}
    assert [receipt.sampling.seed for receipt in receipts] == [5, 6, 5, 6]


def test_token_ids_go_to_the_model_as_they_are() -> None:
    _, _, (receipt,) = talk({"prompt": [5, 6, 7], "max_tokens": 3}, streams=False)
    assert receipt.prompt is not None
    assert receipt.prompt.ids == (5, 6, 7)
    assert (receipt.written, receipt.format) == ("as-is", "raw")


def test_an_open_end_is_what_the_window_leaves() -> None:
    _, _, (receipt,) = talk({"messages": [{"role": "user", "content": "Hi"}]}, streams=False)
    assert receipt.usage is not None
    assert receipt.sampling.max_tokens == 4096 - receipt.usage.prompt
    assert receipt.findings == ()
    assert "max_tokens" in receipt.defaulted

"""Over the real spine and the scripted engine: what the parts above and below agree on."""

from __future__ import annotations

import asyncio
import json

from puna.chat import Spine
from puna.engines.scripted import Scripted
from puna.formats import catalog
from puna.generation import Receipt
from puna.server.answers import answer_to, note_of


def talk(body: dict[str, object], *, streams: bool) -> tuple[str, list[bytes], list[Receipt]]:
    async def one() -> tuple[str, list[bytes], list[Receipt]]:
        engine = Scripted()
        spine = Spine(engine, await engine.start(), catalog.get("chatml"))
        answer = await answer_to(spine, json.dumps(body).encode(), streams=streams)
        receipts: list[Receipt] = []
        return answer.origin, [record async for record in answer.records(receipts.append)], receipts

    return asyncio.run(one())


def test_a_written_llama_2_prompt() -> None:
    origin, records, (receipt,) = talk({"prompt": "<s>[INST] What is a llama? [/INST]"}, streams=True)
    assert origin == "translated; from=llama2; to=chatml"
    texts = [json.loads(record)["outputs"][0] for record in records]
    assert "".join(texts) == "You said: What is a llama?"
    assert len(texts) > 1
    assert note_of(receipt).startswith("translated llama2->chatml ")


def test_messages_and_a_whole_answer() -> None:
    origin, records, (receipt,) = talk({"messages": [{"role": "user", "content": "Hi"}], "seed": 3}, streams=False)
    assert origin == "rendered; to=chatml"
    assert records == [b'{"outputs": ["You said: Hi"]}\n']
    assert receipt.sampling.seed == 3
    assert "seed" not in receipt.defaulted
    assert "temperature" in receipt.defaulted


def test_plain_text_goes_as_it_is() -> None:
    origin, _, (receipt,) = talk({"prompt": "Once upon a time"}, streams=True)
    assert origin == "as-is"
    assert note_of(receipt).startswith("as-is ")

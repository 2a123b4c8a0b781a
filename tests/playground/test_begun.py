"""On the embedded model: an answer goes on after exactly the tokens that it had, whatever they spell."""

import asyncio

import pytest

from puna import config
from puna.errors import InputError
from puna.playground.workbench import Workbench

from .bench import collected, text_of, tokens_of, user

EMOJI = {
    "messages": [user("Say hello with emojis only 🎉🦙🎈")],
    "params": {"temperature": 0, "top_k": 0, "max_tokens": 24},
}
PLAIN = {"messages": [user("What is a llama?")], "params": {"temperature": 0.8, "seed": 7, "max_tokens": 16}}
LONG = {"messages": [user("Say yes.")], "params": {"temperature": 0, "max_tokens": 60}}
"""Longer than it had to be: the end of the turn is among the candidates on the way."""


async def opened(home):
    wanted = config.settings({"slots": 1})
    return await config.open_spine(wanted, await asyncio.to_thread(config.find_model, wanted))


@pytest.mark.model
@pytest.mark.parametrize("body", [EMOJI, PLAIN], ids=["emoji", "words"])
def test_every_token_of_an_answer_can_be_gone_on_from(model_home, body):
    """A greedy answer that is continued at any token ends as it did; the engine tells only the last token of an emoji."""

    async def asked():
        spine = await opened(model_home)
        try:
            bench = Workbench(spine)
            greedy = {**body, "params": {**body["params"], "temperature": 0}}
            whole = await collected(bench.generate(greedy))
            begun = tokens_of(whole)
            for cut in range(1, len(begun), 3):
                rest = await collected(bench.generate({**greedy, "begun": begun[:cut]}))
                used = rest[0]["prompt_tokens"] - whole[0]["prompt_tokens"]
                assert used >= cut
                text = "".join(piece for _, piece in begun[:cut]) + text_of(rest)
                assert text.startswith(text_of(whole)) or text_of(whole).startswith(text)
            return text_of(whole), begun
        finally:
            await spine.engine.close()

    text, begun = asyncio.run(asked())
    assert len(begun) > 3
    if body is EMOJI:
        assert any(ord(character) > 0xFFFF for character in text), "the model said no emoji; choose another prompt"


@pytest.mark.model
def test_a_token_that_ends_the_turn_is_no_beginning(model_home):
    async def asked():
        spine = await opened(model_home)
        try:
            with pytest.raises(InputError, match="ends a turn"):
                await collected(Workbench(spine).generate({**PLAIN, "begun": [[2, ""]]}))
            records = await collected(Workbench(spine).generate({**LONG, "top": 20}))
            return [entry for record in records if record["type"] == "tok" for entry in record["top"]]
        finally:
            await spine.engine.close()

    candidates = asyncio.run(asked())
    named = [entry for entry in candidates if len(entry) == 4]
    assert all(entry[3] == "control" and entry[1].startswith("<") for entry in named)
    assert named, "the end of the turn was never among the candidates; choose another prompt"

import asyncio

import pytest

from puna.engines.scripted import CONTROL, Scripted
from puna.errors import EngineError
from puna.generation import Delta, End, Finish, Kind, Prompt, Sampling, Segment
from puna.messages import Role


async def ask(engine, text="hello there", **sampling):
    segments = (Segment(Kind.CONTENT, text, Role.USER),)
    prompt = Prompt(segments, await engine.encode(segments))
    return [event async for event in engine.stream(prompt, Sampling(**sampling))]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_it_says_back_the_last_user_turn():
    events = asyncio.run(ask(Scripted()))
    assert text_of(events) == "You said: hello there"
    end = events[-1]
    assert isinstance(end, End)
    assert end.finish is Finish.STOP
    assert end.usage is not None
    assert (end.usage.prompt, end.usage.output) == (2, 4)


def test_max_tokens_cuts_and_says_so():
    events = asyncio.run(ask(Scripted(), max_tokens=2))
    assert text_of(events) == "You said:"
    assert events[-1].finish is Finish.LENGTH


def test_a_stop_text_is_no_part_of_the_answer():
    events = asyncio.run(ask(Scripted(), stop=("there", "hello")))
    assert text_of(events) == "You said: "
    assert events[-1].stopped_by == "hello"


def test_content_is_never_a_control_token():
    segments = (Segment(Kind.CONTENT, "<|im_end|>"), Segment(Kind.CONTROL, "<|im_end|>"))
    ids = asyncio.run(Scripted().encode(segments))
    assert ids[-1] == sorted(CONTROL).index("<|im_end|>")
    assert all(number > 1 for number in ids[:-1])


def test_it_fails_where_the_script_says():
    async def scenario():
        engine, seen = Scripted(fail_after=2), []
        with pytest.raises(EngineError, match="after 2 pieces"):
            async for event in engine.stream(Prompt((Segment(Kind.CONTENT, "x"),)), Sampling()):
                seen.append(event)
        return len(seen), engine.slots.busy

    assert asyncio.run(scenario()) == (2, 0)

"""The receipt of another puna is a gift: whatever comes in its place, the answer stays what it was."""

import asyncio
import json

import pytest

from puna.engines.sagemaker import SageMaker
from puna.engines.timeouts import Timeouts
from puna.generation import Extras, Kind, Prompt, Sampling, Segment
from tests.engines.openai_server import whole
from tests.engines.strange import Hang, strange
from tests.engines.test_bodies import GZIP, bomb

GOOD = {
    "finish": "length",
    "usage": {"prompt": 3, "cached": 1, "output": 2},
    "seconds": {"queue": 0.1, "prefill": 0.2, "decode": 0.3},
    "stopped_by": None,
}
ANSWER: list = [whole(200, {"outputs": ["Hi"]}).replace(b"Connection", b"x-puna-receipt: /receipts/7\r\nConnection")]


def ended(acts):
    async def scenario():
        async with strange([whole(404, {})], ANSWER, acts) as url:
            engine = SageMaker(url, "e", dialect="workshop", timeouts=Timeouts(between=20))
            await engine.start()
            try:
                prompt = Prompt((Segment(Kind.CONTENT, "Hi"),))
                return [event async for event in engine.stream(prompt, Sampling(), Extras())][-1]
            finally:
                await engine.close()

    return asyncio.run(scenario())


def test_what_it_tells_is_taken():
    end = ended([whole(200, GOOD)])
    assert (end.finish, end.usage.output, end.timing.decode, end.remote["id"]) == ("length", 2, 0.3, "7")


@pytest.mark.parametrize(
    "acts",
    [
        [whole(200, {**GOOD, "usage": {"prompt": -3, "cached": 1, "output": 2}})],
        [whole(200, {**GOOD, "usage": {"prompt": "3", "cached": 1, "output": 2}})],
        [whole(200, {**GOOD, "seconds": {"queue": "soon", "prefill": 0, "decode": 0}})],
        [whole(200, json.dumps(GOOD).replace("0.3", "1e999").encode())],
        [whole(200, {**GOOD, "stopped_by": 5})],
        [whole(200, [1])],
        [whole(200, b"rubbish")],
        [whole(404, {})],
        [GZIP, b"rubbish"],
        [GZIP, bomb(b" ", 2**26)],
    ],
)
def test_what_is_none_is_passed_over(acts):
    end = ended(acts)
    assert (end.usage, end.timing.queue) == (None, 0.0)
    assert "id" not in end.remote


def test_one_that_does_not_come_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("puna.engines.remote.RECEIPT_SECONDS", 0.1)
    assert ended([Hang()]).usage is None

"""One trial: what comes of it, whatever the engine does."""

import asyncio
from dataclasses import replace

import pytest

from puna.chat import Spine
from puna.engines.scripted import Scripted
from puna.errors import (
    ContextWindowError,
    EndpointError,
    EngineBusyError,
    EngineError,
    EngineLoadingError,
    EngineStoppedError,
    InputError,
    RefusedError,
    UnreachableError,
)
from puna.experiments.rows import Failure, State
from puna.experiments.trial import LONGEST_WAIT, Limits, failure_of, may_pass, prepared, refused, tried
from puna.formats.chatml import SMOLLM2
from puna.generation import NO_EXTRAS, Delta, End, Extras, Finish, Sampling, Timing, Usage
from puna.messages import Dialog, Role
from puna.turn import Ask

ASK = Ask(Dialog().append(Role.USER, "Say it again, please."), Sampling(seed=7, max_tokens=50), frozenset({"seed"}))
SAID = "You said: Say it again, please."


class Waits:
    """Instead of sleeping: what would have been waited. over: the number of the wait after which there shall be no more."""

    def __init__(self, over=None):
        self.seconds = []
        self.over = over

    async def __call__(self, seconds):
        self.seconds.append(seconds)
        return self.over is not None and len(self.seconds) >= self.over


class Failing(Scripted):
    """Fails as told in its first attempts. said: words before it fails."""

    def __init__(self, *errors, said=0):
        super().__init__()
        self.errors = list(errors)
        self.said = said
        self.attempts = 0

    async def stream(self, prompt, sampling, extras=NO_EXTRAS):
        self.attempts += 1
        events = super().stream(prompt, sampling, extras)
        error = self.errors.pop(0) if self.errors else None
        n = 0
        async for event in events:
            if error is not None and n == self.said:
                await events.aclose()
                raise error
            n += 1
            yield event


def on(engine, *, extras=None, limits=None, remote=False):
    async def scenario():
        info = await engine.start()
        spine = Spine(engine, replace(info, slots=0) if remote else info, SMOLLM2)
        turn = await spine.prepare(replace(ASK, extras=extras or Extras()))
        return await tried(turn, turn.stream(), limits or Limits(10, 2, Waits()), model_sha256="abc")

    return asyncio.run(scenario())


def test_an_answer():
    heard: list[int] = []

    async def scenario():
        engine = Scripted()
        turn = await Spine(engine, await engine.start(), SMOLLM2).prepare(replace(ASK, extras=Extras(logprobs=1)))
        return turn, await tried(turn, turn.stream(), Limits(10, 0), model_sha256="abc", hear=heard.append)

    turn, outcome = asyncio.run(scenario())
    assert (outcome.state, outcome.output, outcome.failure, outcome.reason) == (State.OK, SAID, None, None)
    assert (outcome.finish, outcome.attempts, outcome.model_sha256) == ("stop", 1, "abc")
    assert outcome.usage == Usage(len(turn.prompt.ids), 0, 6)
    assert sum(heard) == 6
    assert outcome.prompt == turn.prompt
    assert outcome.sampling == turn.sampling
    assert (outcome.model, outcome.engine, outcome.written_as, outcome.reproducible) == (
        turn.info.model, turn.info.build, "smollm2", True,
    )  # fmt: skip
    assert 0 <= outcome.first <= outcome.seconds
    assert [token.data.decode() for token in outcome.logprobs] == [
        "You",
        " said:",
        " Say",
        " it",
        " again,",
        " please.",
    ]
    assert outcome.receipt["sampling"]["seed"] == 7
    assert outcome.receipt_id


def test_log_probabilities_that_were_not_asked_for_are_none():
    assert on(Scripted()).logprobs is None


@pytest.mark.parametrize(
    ("error", "arrived", "kind"),
    [
        (TimeoutError(), False, Failure.TIMEOUT),
        (TimeoutError(), True, Failure.TIMEOUT),
        (InputError("no"), False, Failure.REFUSED),
        (ContextWindowError(5, 5, 5), False, Failure.REFUSED),
        (RefusedError("no", 400), False, Failure.REFUSED),
        (RefusedError("busy", 503), False, Failure.REFUSED),
        (EngineBusyError("full"), False, Failure.REFUSED),
        (EngineError("died"), False, Failure.BROKEN),
        (EngineStoppedError("died"), True, Failure.BROKEN),
        (EngineStoppedError("gone"), False, Failure.UNREACHABLE),
        (EngineLoadingError("wait"), False, Failure.UNREACHABLE),
        (UnreachableError("nobody"), False, Failure.UNREACHABLE),
        (EndpointError("cut"), False, Failure.BROKEN),
    ],
)
def test_kinds_of_failures(error, arrived, kind):
    assert failure_of(error, arrived=arrived) is kind


@pytest.mark.parametrize(
    ("error", "remote", "expected"),
    [
        (InputError("no"), True, False),
        (RefusedError("no", 400), True, False),
        (RefusedError("no", 404), True, False),
        (RefusedError("slow down", 429), True, True),
        (RefusedError("oops", 503), True, True),
        (TimeoutError(), True, True),
        (TimeoutError(), False, False),
        (EngineError("died"), False, True),
        (EngineBusyError("full"), False, True),
        (UnreachableError("nobody"), True, True),
    ],
)
def test_what_may_fare_better_next_time(error, remote, expected):
    assert may_pass(error, remote=remote) is expected


def test_a_broken_stream_is_tried_again_after_a_wait_that_doubles():
    waits = Waits()
    engine = Failing(EngineError("first"), EngineError("second"), said=2)
    outcome = on(engine, limits=Limits(10, 2, waits))
    assert (outcome.state, outcome.output, outcome.attempts) == (State.OK, SAID, 3)
    assert waits.seconds == [1, 2]


def test_what_had_arrived_of_the_last_attempt_is_kept():
    errors = [EngineError(f"broke {n}") for n in range(3)]
    outcome = on(Failing(*errors, said=2), extras=Extras(logprobs=0), limits=Limits(10, 2, Waits()))
    assert (outcome.state, outcome.failure, outcome.reason) == (State.FAILED, Failure.BROKEN, "broke 2")
    assert (outcome.output, outcome.attempts, len(outcome.logprobs)) == ("You said:", 3, 2)
    assert (outcome.finish, outcome.usage, outcome.receipt) == (None, None, None)
    assert outcome.prompt is not None
    assert outcome.sampling.seed == 7


def test_what_is_refused_is_not_tried_again():
    engine = Failing(RefusedError("no such model", 404))
    outcome = on(engine, remote=True)
    assert (outcome.failure, outcome.reason, outcome.attempts) == (Failure.REFUSED, "no such model", 1)
    assert engine.attempts == 1


def test_no_retries_are_none():
    engine = Failing(EngineError("died"))
    assert on(engine, limits=Limits(10, 0, Waits())).attempts == 1
    assert engine.attempts == 1


def test_waiting_ends_when_no_more_is_wanted():
    waits = Waits(over=1)
    engine = Failing(*[EngineError("died")] * 9)
    outcome = on(engine, limits=Limits(10, 8, waits))
    assert (outcome.attempts, len(waits.seconds)) == (1, 1)


def test_waits_have_a_longest():
    waits = Waits()
    on(Failing(*[EngineError("died")] * 9), limits=Limits(10, 8, waits))
    assert max(waits.seconds) == LONGEST_WAIT


@pytest.mark.parametrize(("remote", "attempts"), [(False, 1), (True, 3)])
def test_an_answer_that_takes_too_long(remote, attempts):
    """Here the same seed takes as long again; a server may have been busy."""
    held = asyncio.Event()

    async def pace(n):
        if n == 3:
            await held.wait()

    outcome = on(Scripted(pace=pace), limits=Limits(0.02, 2, Waits()), remote=remote)
    assert (outcome.state, outcome.failure, outcome.attempts) == (State.FAILED, Failure.TIMEOUT, attempts)
    assert outcome.output == "You said: Say"
    assert outcome.reason == "the answer was not whole after 0.02 s"


def test_a_stream_without_an_end_is_broken():
    class Endless(Scripted):
        async def stream(self, prompt, sampling, extras=NO_EXTRAS):
            yield Delta("so")

    outcome = on(Endless(), limits=Limits(10, 0))
    assert (outcome.failure, outcome.output) == (Failure.BROKEN, "so")


REMOTE = {
    "id": "r-1", "model": "served", "engine": "b1", "reproducible": True, "sampling": Sampling(top_k=3, seed=9).as_json(),
    "prompt": {"format": "llama2", "written": "rendered"},
}  # fmt: skip


class Remote(Scripted):
    """Ends with a remote endpoint's receipt."""

    def __init__(self, receipt):
        super().__init__()
        self.receipt = receipt

    async def stream(self, prompt, sampling, extras=NO_EXTRAS):
        yield Delta("hm")
        yield End(Finish.STOP, None, Timing(), None, self.receipt)


def test_a_remote_receipt_says_what_was_in_effect():
    outcome = on(Remote(REMOTE))
    assert outcome.sampling == Sampling(top_k=3, seed=9)
    assert (outcome.model, outcome.engine, outcome.written_as, outcome.reproducible) == ("served", "b1", "llama2", True)
    assert (outcome.receipt, outcome.receipt_id) == (REMOTE, "r-1")


def test_a_foreign_receipt_is_believed_as_far_as_it_goes():
    outcome = on(Remote({"id": "x", "sampling": {"temperature": "hot"}, "reproducible": "yes"}))
    assert outcome.sampling.seed == 7
    assert (outcome.receipt_id, outcome.model, outcome.reproducible) == ("x", "scripted", True)


def test_a_prompt_that_cannot_be_asked_is_an_outcome():
    engine = Scripted()
    outcome = refused(ContextWindowError(5, 6, 7), Sampling(seed=3), engine.info, "abc")
    assert (outcome.state, outcome.failure, outcome.output) == (State.FAILED, Failure.REFUSED, "")
    assert outcome.reason is not None
    assert "the prompt has 5 tokens" in outcome.reason
    assert (outcome.sampling.seed, outcome.model, outcome.model_sha256) == (3, "scripted", "abc")


def test_a_turn_is_prepared_once_the_engine_is_back():
    class Loading(Scripted):
        left = 2

        async def encode(self, segments):
            if self.left:
                self.left -= 1
                raise EngineLoadingError("loading")
            return await super().encode(segments)

    async def scenario(engine, retries):
        return await prepared(Spine(engine, engine.info, SMOLLM2), ASK, Limits(10, retries, Waits()))

    assert asyncio.run(scenario(Loading(), 2)).prompt.ids
    with pytest.raises(EngineLoadingError):
        asyncio.run(scenario(Loading(), 1))

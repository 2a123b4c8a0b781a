"""An engine that tells a story: a tiny language model, deterministic by seed, which fails, waits and hurries as a test says."""

from __future__ import annotations

import asyncio
import codecs
import math
import re
import threading
import time
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from puna.engines.base import EngineInfo, Event, Scored, Variant, each_alone
from puna.engines.scripted import Scripted
from puna.errors import EngineError, InputError
from puna.generation import NO_EXTRAS, Delta, End, Extras, Finish, Logprob, Prompt, Sampling, Segment, Timing, Usage
from puna.tokens.base import encode

from .vocabulary import Vocabulary

WAIT = 20
"""Seconds after which a test gives up waiting for the engine."""

STORY = re.findall(
    r"\w+",
    """
    the a llama puna wool grass mountain river night cold wind walks sleeps finds old herder path stone lake bird sings slowly
    far away and but then over under near quiet bright snow sun star water bread song story town market road bridge gate fire
    smoke door child mother friend letter word silence morning evening winter summer spring autumn cloud rain hill valley
    """,
)
CANDIDATES = 24
"""Words that may follow; the least likely ones are beyond any list of alternatives."""

_MEMORY = 8
"""Tokens that decide what may follow."""

Drawn = tuple[int, float, tuple[tuple[int, float], ...]]
"""An id, its log-probability, and all that could have stood there."""


@dataclass
class Script:
    """What the next answers do. text: said instead of a story. length: tokens of the story. pace: tokens/s, None for at once.

    fail_after: tokens after which it breaks. refuse: raised instead of the first token. hold: tokens after which it waits
    for ``release``. failing: the temperature for which ``fail_after`` and ``refuse`` are meant, None for all.
    """

    text: str | None = None
    length: int = 40
    pace: float | None = None
    fail_after: int | None = None
    refuse: Exception | None = None
    hold: int | None = None
    failing: float | None = None


@dataclass
class Asked:
    """A generation that was asked for, and how it went. left: the client went before the end. began: seconds since 1970."""

    prompt: Prompt
    sampling: Sampling
    extras: Extras
    began: float = 0.0
    sent: int = 0
    left: bool = False
    done: bool = False


@dataclass
class Ledger:
    """Generations in the order in which they began. Written by the server's thread, waited for by the test's."""

    asked: list[Asked] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def note(self, change: Callable[[], None]) -> None:
        """Change it, and wake who waits."""
        with self.changed:
            change()
            self.changed.notify_all()

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so."""
        with self.changed:
            assert self.changed.wait_for(true, WAIT), f"not within {WAIT} s; asked so far: {self.asked!r:.2000}"

    @property
    def running(self) -> int:
        """Generations under way."""
        return sum(not entry.done for entry in self.asked)

    @property
    def last(self) -> Asked:
        """The one that began last."""
        return self.asked[-1]


class Storyteller(Scripted):
    """The engine. ``script`` may be changed at any time and counts for what begins afterwards."""

    def __init__(self, *, context: int = 4096, slots: int = 8, bos: str | None = None) -> None:
        super().__init__(slots=slots, queue=64)
        self.words = Vocabulary()
        self.script = Script()
        self.ledger = Ledger()
        self._released = threading.Event()
        control = frozenset(self.words.control)
        self.info = EngineInfo("storyteller", "storyteller-1", context, slots, control, bos, reproducible=True)
        for word in STORY:
            self.words.encode(f" {word}")

    def reset(self) -> None:
        """Let go of what is held, wait until nothing runs, and be as new."""
        self.release()
        self.ledger.until(lambda: not self.ledger.running)
        self.ledger.asked.clear()
        self.script = Script()
        self._released.clear()

    def release(self) -> None:
        """Go on where a script holds."""
        self._released.set()

    async def encode(self, segments: tuple[Segment, ...]) -> tuple[int, ...]:
        """Ids by the vocabulary."""
        return encode(self.words, segments)

    def stream(self, prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS) -> AsyncGenerator[Event, None]:
        """The story, token by token."""
        return self._stream(prompt, sampling, extras)

    def together(self, prompt: Prompt, variants: Sequence[Variant]) -> Sequence[AsyncGenerator[Event, None]]:
        """Each alone: nothing is evaluated."""
        return each_alone(self, prompt, variants)

    async def score(self, ids: tuple[int, ...], top: int, start: int = 1) -> Scored:
        """Nothing: it tells stories and does not judge them."""
        raise InputError(f"the storyteller has no opinion of {len(ids)} tokens and {top} alternatives")

    async def _stream(self, prompt: Prompt, sampling: Sampling, extras: Extras) -> AsyncGenerator[Event, None]:
        script, entry = self.script, Asked(prompt, sampling, extras)
        self.ledger.note(lambda: self.ledger.asked.append(entry))
        try:
            async with self.slots.slot() as waited:
                async for event in self._told(
                    script, entry, waited, failing=script.failing in {None, sampling.temperature}
                ):
                    yield event
        except (GeneratorExit, asyncio.CancelledError):
            entry.left = True
            raise
        finally:
            self.ledger.note(lambda: setattr(entry, "done", True))

    async def _told(self, script: Script, entry: Asked, waited: float, *, failing: bool) -> AsyncGenerator[Event, None]:
        if script.refuse is not None and failing:
            raise script.refuse
        top, sampling, began = entry.extras.logprobs, entry.sampling, time.monotonic()
        entry.began = time.time()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        held: list[Logprob] = []
        finish, stopped_by, said = Finish.STOP, None, ""
        for n, drawn in enumerate(self._drawn(script, entry)):
            await self._until(script, n, began)
            if n == script.fail_after and failing:
                raise EngineError(f"the script says that it fails after {n} tokens")
            if n == sampling.max_tokens:
                finish = Finish.LENGTH
                break
            held.append(self._logprob(drawn, top or 0))
            entry.sent += 1
            text = decoder.decode(held[-1].data)
            if not text:
                continue
            said += text
            stopped_by = next((stop for stop in sampling.stop if stop in said), None)
            if stopped_by:
                text = text[: len(text) - (len(said) - said.index(stopped_by))]
            if text:
                yield Delta(text, len(held), tuple(held) if top is not None else ())
            held.clear()
            if stopped_by:
                break
        self.ledger.note(lambda: None)
        timing = Timing(queue=waited, prefill=0.001, decode=time.monotonic() - began)
        yield End(finish, Usage(len(entry.prompt.ids), 0, entry.sent), timing, stopped_by)

    async def _until(self, script: Script, n: int, began: float) -> None:
        """The moment of the n-th token, on a schedule that does not drift."""
        while n == script.hold and not self._released.is_set():
            await asyncio.sleep(0.005)
        late = time.monotonic() - began - n / script.pace if script.pace else 0.0
        await asyncio.sleep(max(0.0, -late))

    def _drawn(self, script: Script, entry: Asked) -> Iterator[Drawn]:
        ids = list(entry.prompt.ids)
        told = None if script.text is None else self.words.encode(script.text)
        for n in range(script.length if told is None else len(told)):
            likely = self._likely(ids)
            rng = Random(f"{entry.sampling.seed} {len(ids)}")
            if told is None:
                chosen = _choose(likely, entry.sampling, rng)
            else:
                among = rng.random() < 0.9  # else so unlikely that it is in no list of alternatives
                chosen = (told[n], -rng.uniform(0, 4) if among else -rng.uniform(6, 9))
                likely = _with(likely, chosen) if among else likely
            ids.append(chosen[0])
            yield *chosen, likely

    def _likely(self, ids: Sequence[int]) -> tuple[tuple[int, float], ...]:
        """What may follow, the likeliest first; by what stands before, as in a model, so that an answer goes on as it began."""
        rng = Random(zlib.crc32(repr(list(ids[-_MEMORY:])).encode()))
        steep = rng.uniform(0.15, 1.6)
        pieces = [*rng.sample([f" {word}" for word in STORY], CANDIDATES - 2), "\n", "."]
        rng.shuffle(pieces)
        logits = sorted((-steep * n + rng.uniform(-0.2, 0.2) for n in range(CANDIDATES)), reverse=True)
        whole = math.log(sum(map(math.exp, logits)))
        return tuple((self.words.id_of(piece), logit - whole) for piece, logit in zip(pieces, logits, strict=True))

    def _logprob(self, drawn: Drawn, top: int) -> Logprob:
        number, likelihood, likely = drawn
        others = tuple(Logprob(token, self.words.bytes_of(token), lp) for token, lp in likely[:top])
        return Logprob(number, self.words.bytes_of(number), likelihood, others)


def _with(likely: Sequence[tuple[int, float]], chosen: tuple[int, float]) -> tuple[tuple[int, float], ...]:
    """The candidates with one more, in order, of probabilities that make no more than 1."""
    rest = math.log1p(-math.exp(min(chosen[1], -0.001)))
    others = [(token, lp + rest) for token, lp in likely if token != chosen[0]]
    return tuple(sorted([*others, chosen], key=lambda entry: -entry[1]))


def _choose(likely: Sequence[tuple[int, float]], sampling: Sampling, rng: Random) -> tuple[int, float]:
    """One of the candidates, as ``Sampling`` says: temperature, top_k, top_p, min_p, and a draw."""
    if sampling.temperature == 0:
        return likely[0]
    weights = [math.exp((lp - likely[0][1]) / sampling.temperature) for _, lp in likely]
    weights = weights[: sampling.top_k or None]
    sums = [0.0]
    for weight in weights:
        sums.append(sums[-1] + weight)
    kept = next(n for n, s in enumerate(sums[1:], 1) if s >= sampling.top_p * sums[-1])
    weights = [weight for weight in weights[:kept] if weight >= sampling.min_p]
    return rng.choices(likely[: len(weights)], weights)[0]


def ordered(values: Sequence[float]) -> bool:
    """Whether none is larger than the one before it."""
    return all(a >= b for a, b in pairwise(values))

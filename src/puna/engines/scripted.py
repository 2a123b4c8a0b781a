"""An engine without a model: deterministic, at once, shipped for tests, docs and trying a client. Knows no network.

Its vocabulary is words: each word with the space before it is one token. By default it says back what it was told last.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from puna.engines.admission import Slots
from puna.engines.base import EngineInfo, Event, Scored, Variant, each_alone
from puna.errors import EngineError, EngineStoppedError, InputError
from puna.generation import (
    NO_EXTRAS,
    Delta,
    End,
    Extras,
    Finish,
    Kind,
    Logprob,
    Prompt,
    Sampling,
    Segment,
    Timing,
    Usage,
)
from puna.messages import Role
from puna.tokens.base import encode
from puna.version import __version__

CONTROL = frozenset({"<|im_start|>", "<|im_end|>"})
_WORDS = re.compile(r"\s?\S+|\s")


class Words:
    """The scripted engine's tokenizer: a control token is 0 or 1, a word is never below 2.

    It learns words as it meets them, so an id stands for the first word that it met of those which share it.
    """

    control: Mapping[str, int] = MappingProxyType({text: n for n, text in enumerate(sorted(CONTROL))})

    def __init__(self) -> None:
        self._met: dict[int, bytes] = {}

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, shape (n,)."""
        return [self._id(word.encode()) for word in _WORDS.findall(text)]

    def _id(self, word: bytes) -> int:
        token = 2 + zlib.crc32(word) % 49150
        self._met.setdefault(token, word)
        return token

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The words."""
        return [self.bytes_of(n).decode() for n in ids]

    def bytes_of(self, token: int) -> bytes:
        """The word; a question mark where none was met."""
        return b"" if token < len(CONTROL) else self._met.get(token, b"?")


WORDS = Words()

Answer = Callable[[Prompt, Sampling], str]


def say_back(prompt: Prompt, sampling: Sampling) -> str:  # noqa: ARG001
    """Says back the last user turn, or the whole text where there are no turns."""
    said = [s.text for s in prompt.segments if s.kind is Kind.CONTENT and s.role is Role.USER]
    return f"You said: {said[-1] if said else prompt.text}"


async def _at_once(_: int) -> None:
    return


class Scripted:
    """Answers by a function of prompt and sampling.

    pace: awaited before the n-th piece, so that a test decides when it comes. fail_after: pieces after which the
    stream fails, None for never.
    """

    def __init__(
        self,
        answer: Answer = say_back,
        *,
        context: int = 4096,
        slots: int = 4,
        queue: int = 256,
        pace: Callable[[int], Awaitable[None]] = _at_once,
        fail_after: int | None = None,
    ) -> None:
        self._answer = answer
        self._pace = pace
        self._fail_after = fail_after
        self.slots = Slots(slots, queue)
        self.info = EngineInfo("scripted", f"puna-{__version__}-scripted", context, slots, CONTROL, reproducible=True)

    @property
    def ready(self) -> bool:
        """Until it is closed."""
        return not self.slots.closed

    @property
    def state(self) -> str:
        """Ready, until it is closed."""
        return "ready" if self.ready else "stopped"

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return self.slots.waiting

    @property
    def restarts(self) -> int:
        """None: there is no process."""
        return 0

    async def start(self) -> EngineInfo:
        """Nothing to load."""
        return self.info

    async def close(self) -> None:
        """Send away all who wait."""
        self.slots.close()

    async def encode(self, segments: tuple[Segment, ...]) -> tuple[int, ...]:
        """Ids by words."""
        return encode(WORDS, segments)

    async def stream(
        self, prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS
    ) -> AsyncGenerator[Event, None]:
        """The answer word by word, cut at a stop text or at max_tokens.

        Its log-probabilities are 0: it is certain of what it says. Penalties find nothing to change.

        Raises:
            InputError: a schema.
        """
        if extras.schema is not None:
            raise InputError(
                "the scripted engine has no grammar and cannot keep to a JSON schema; serve a model, or ask without"
            )
        text, stopped_by = _cut(self._answer(prompt, sampling), sampling.stop)
        words = _WORDS.findall(text)
        sent = words[: sampling.max_tokens]
        async with self.slots.slot() as waited:
            for n, word in enumerate(sent):
                await self._pace(n)
                if self.slots.closed:
                    raise EngineStoppedError("the engine has been closed; ask again once it is back")
                if n == self._fail_after:
                    raise EngineError(f"the script says that the stream fails after {n} pieces")
                yield Delta(word, 1, _certain(word, extras.logprobs))
            finish = Finish.LENGTH if len(words) > sampling.max_tokens else Finish.STOP
            usage = Usage(prompt=len(prompt.ids), cached=0, output=len(sent))
            yield End(finish, usage, Timing(queue=waited), stopped_by if finish is Finish.STOP else None)

    def together(self, prompt: Prompt, variants: Sequence[Variant]) -> Sequence[AsyncGenerator[Event, None]]:
        """Each alone: nothing is evaluated."""
        return each_alone(self, prompt, variants)

    async def score(self, ids: tuple[int, ...], top: int, start: int = 1) -> Scored:  # noqa: ARG002  # as in the protocol
        """Nothing: there is no model to hold a text likely or not.

        Raises:
            InputError: always.
        """
        raise InputError(f"the scripted engine has no model to score {len(ids)} tokens with; serve a model")


def _certain(word: str, top: int | None) -> tuple[Logprob, ...]:
    """The one token that a script allows, with itself for an alternative where any are wanted."""
    if top is None:
        return ()
    token = Logprob(WORDS.encode(word)[0], word.encode(), 0.0)
    return (replace(token, top=(token,)) if top else token,)


def _cut(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    met = min(((text.find(stop), stop) for stop in stops if stop in text), default=None)
    return (text, None) if met is None else (text[: met[0]], met[1])

"""The values that travel through one generation: sampling, prompt, delta, end, receipt.

Units: tokens and seconds. Ranges are checked when a value is built, so no later layer clamps or guesses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from hashlib import sha256

from puna.errors import SamplingError, unknown
from puna.messages import Dialog, Role

MAX_SEED = 2**32 - 2
"""Largest seed: llama.cpp reads 2**32 - 1 as "draw one" (LLAMA_DEFAULT_SEED), so that one is not offered."""

MAX_STOPS = 16
MAX_STOP = 1000
"""Characters of one stop text: receipts keep it."""

MAX_ALTERNATIVES = 20
"""Most alternatives of a token that may be asked for, as in the OpenAI API (``top_logprobs``)."""


LEAST_TEMPERATURE = 0.001
"""Beyond 0. Logits that are divided by less overflow float32, and the engine answers noise."""

_HUGE = 2**31 - 1

RANGES: Mapping[str, tuple[type[int | float], float, float]] = {
    "temperature": (float, 0, 2),
    "top_p": (float, 0, 1),
    "top_k": (int, 0, _HUGE),
    "min_p": (float, 0, 1),
    "max_tokens": (int, 1, _HUGE),
    "seed": (int, 0, MAX_SEED),
    "repetition_penalty": (float, 0.01, 10),
    "presence_penalty": (float, -2, 2),
    "frequency_penalty": (float, -2, 2),
}
"""Kind, least and largest value of each sampling parameter that is a number."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen, in the order in which it is applied.

    Penalties change the logits of tokens that stand in the prompt or the answer already; logits are divided by
    ``temperature``, then cut to the ``top_k`` most likely, then to the nucleus ``top_p``, then to those at least ``min_p``
    as likely as the first; one token is drawn from what is left. It is the order of transformers and vLLM, on which Llama 2
    containers run. No other sampler takes part.

    temperature: 0, which is greedy, or [0.001, 2]. top_p: [0, 1]; 1 switches it off. top_k: 0 (off) or more. min_p: [0, 1];
    0 switches it off. max_tokens: 1 or more. seed: [0, 2**32 - 2], or None to have one drawn (it is then told in
    the receipt). stop: up to 16 non-empty texts; none of them is part of the answer. repetition_penalty: [0.01, 10]; positive
    logits are divided by it, negative ones multiplied (Keskar et al. 2019, https://arxiv.org/abs/1909.05858); 1 switches it
    off. presence_penalty, frequency_penalty: [-2, 2]; subtracted once, and once for each occurrence; 0 switches them off.

    Raises:
        SamplingError: a value of the wrong type or out of its range; nothing is clamped.
    """

    temperature: float = 0.6
    top_p: float = 0.9
    top_k: int = 50
    min_p: float = 0.0
    max_tokens: int = 200
    seed: int | None = None
    stop: tuple[str, ...] = ()
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0

    def __post_init__(self) -> None:
        for name, (kind, low, high) in RANGES.items():
            value = getattr(self, name)
            if name == "seed" and value is None:
                continue
            (_check_integer if kind is int else _check_number)(name, value, low, high)
        if 0 < self.temperature < LEAST_TEMPERATURE:
            raise SamplingError(
                f"temperature must be 0, which is greedy, or {LEAST_TEMPERATURE} and more, not {self.temperature!r}"
            )
        _check_stops(self.stop)

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Sampling:
        """A sampling from named values, the others at their defaults.

        Raises:
            SamplingError: an unknown name (the known ones are listed), or a bad value.
        """
        known = {entry.name for entry in fields(cls)}
        for name in given:
            if name not in known:
                raise SamplingError(unknown("sampling parameter", name, known))
        values = dict(given)
        if "stop" in values:
            values["stop"] = _stops_of(values["stop"])
        return cls(**values)  # type: ignore[arg-type]  # every value is checked in __post_init__

    def as_json(self) -> dict[str, object]:
        """Every parameter by name, ready for JSON."""
        return {**asdict(self), "stop": list(self.stop)}


def _check_number(name: str, value: object, low: float, high: float) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not low <= value <= high:  # type: ignore[operator]  # `good` says it is a number; NaN is in no range
        raise SamplingError(f"{name} must be a number from {low} to {high}, not {value!r}")


def _check_integer(name: str, value: object, low: float, high: float) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise SamplingError(f"{name} must be a whole number from {low} to {high}, not {value!r}")


def _stops_of(given: object) -> object:
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    return tuple(given) if isinstance(given, list | tuple) else given


def _check_stops(stops: object) -> None:
    good = isinstance(stops, tuple) and all(isinstance(stop, str) and 0 < len(stop) <= MAX_STOP for stop in stops)
    if not good or len(stops) > MAX_STOPS:  # type: ignore[arg-type]  # `good` says it is a tuple
        raise SamplingError(
            f"stop must be a text or a list of at most {MAX_STOPS} non-empty texts of {MAX_STOP} characters, not {stops!r:.200}"
        )


@dataclass(frozen=True, slots=True)
class Extras:
    """What is wanted of a generation besides its text.

    logprobs: None for no log-probabilities, else how many alternatives of each token are wanted, 0 to 20. schema: the JSON
    text of a JSON schema that the answer must satisfy. open_end: no longest answer was set, and what the window leaves is known to
    the server only, whose own end holds.

    Raises:
        SamplingError: logprobs out of its range.
    """

    logprobs: int | None = None
    schema: str | None = None
    open_end: bool = False

    def __post_init__(self) -> None:
        if self.logprobs is not None:
            _check_integer("logprobs", self.logprobs, 0, MAX_ALTERNATIVES)


NO_EXTRAS = Extras()


class Kind(StrEnum):
    """What a piece of a prompt is: written by the format, or by a person or model."""

    CONTROL = "control"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a rendered prompt. Only in a control segment can text become a control token."""

    kind: Kind
    text: str
    role: Role | None = None

    def as_json(self) -> dict[str, str | None]:
        """The segment as ``puna prompt render --json`` prints it."""
        return {"kind": str(self.kind), "role": str(self.role) if self.role else None, "text": self.text}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an engine is asked to continue. An engine takes the field that it speaks.

    segments: the rendered prompt in pieces. ids: its tokens, shape (n,), once an engine has encoded it. dialog: the
    messages behind it, where it came from a dialog (an engine behind a chat API takes these).
    """

    segments: tuple[Segment, ...]
    ids: tuple[int, ...] = ()
    dialog: Dialog | None = None

    @property
    def text(self) -> str:
        """The exact rendered text."""
        return "".join(segment.text for segment in self.segments)

    def digests(self) -> dict[str, str | None]:
        """SHA-256 of the text in UTF-8, and of the ids, in decimal with commas between; None of what is not known."""
        text = self.text.encode("utf-8", "surrogatepass")
        return {
            "sha256": sha256(text).hexdigest() if text else None,
            "ids_sha256": sha256(",".join(map(str, self.ids)).encode()).hexdigest() if self.ids else None,
        }


class Finish(StrEnum):
    """Why a generation ended."""

    STOP = "stop"
    """The model ended its turn, or a stop text was met."""
    LENGTH = "length"
    """max_tokens tokens were made."""
    UNKNOWN = "unknown"
    """A remote endpoint did not say."""


@dataclass(frozen=True, slots=True)
class Logprob:
    """A token and how likely the model held it to be, before temperature, penalties and cuts.

    data: the token's bytes, none for a control token. logprob: natural logarithm of its probability, 0 or less. top: the most
    likely tokens in its place, the likeliest first.
    """

    id: int
    data: bytes
    logprob: float
    top: tuple[Logprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """New text of the answer; never half a character. tokens: how many tokens it stands for.

    logprobs: of these tokens, in order, where they were asked for.
    """

    text: str
    tokens: int = 1
    logprobs: tuple[Logprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a generation cost. All counts are tokens; prompt = cached + evaluated.

    output counts every token that the model made, the one that ended its turn included.
    """

    prompt: int
    cached: int
    output: int

    @property
    def evaluated(self) -> int:
        """Prompt tokens that the engine had to compute (prefill); the others came from its KV cache."""
        return self.prompt - self.cached


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time of a generation went, in seconds."""

    queue: float = 0.0
    prefill: float = 0.0
    decode: float = 0.0


@dataclass(frozen=True, slots=True)
class End:
    """The last event of an engine's stream.

    usage: None where a remote endpoint does not tell. stopped_by: the stop text that was met, None for the model's own
    end. remote: the remote endpoint's own receipt, where it gives one.
    """

    finish: Finish
    usage: Usage | None
    timing: Timing = Timing()
    stopped_by: str | None = None
    remote: Mapping[str, object] | None = None


class Written(StrEnum):
    """How the prompt that the engine got relates to what the caller wrote."""

    AS_IS = "as-is"
    """The caller's own text, unchanged."""
    REPAIRED = "repaired"
    """Written in the model's own format with slips, and rendered again without them."""
    TRANSLATED = "translated"
    """Written in another family's format, parsed, and rendered in the model's own."""
    RENDERED = "rendered"
    """The caller gave messages."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What happened, the last event of a turn. Everything that was chosen, defaulted or changed stands here."""

    written: Written
    source: str | None
    """Format in which the caller's prompt was written, where it was recognised."""
    format: str
    """Format in which the engine got it; ``raw`` for the caller's own text."""
    sampling: Sampling
    """What was in effect, with the seed that was drawn where none was given."""
    defaulted: tuple[str, ...]
    finish: Finish
    usage: Usage | None
    timing: Timing
    model: str
    engine: str
    stopped_by: str | None = None
    findings: tuple[str, ...] = ()
    """Slips found in the caller's prompt, one sentence each."""
    dropped: tuple[Mapping[str, object], ...] = ()
    """Messages that were left out to fit the window: index, role, tokens, why."""
    ignored: tuple[str, ...] = ()
    """What the caller sent that was accepted and had no effect."""
    extras: Extras = NO_EXTRAS
    prompt: Prompt | None = None
    """What the engine got."""
    reproducible: bool | None = None
    """Whether the same request with the same seed gives the same answer; None where nobody knows."""
    scored: Timing | None = None
    """What it took to find the log-probabilities of the prompt, where they were asked for."""
    generates: bool = True
    """Whether an answer was asked for, and not only these."""
    remote: Mapping[str, object] | None = None
    """The receipt of the endpoint that answered, where that was a remote one that gives receipts."""
    server: Mapping[str, object] = field(default_factory=dict)
    """What the server that answered was found to be and to offer, where one was asked."""

    def outcome(self) -> dict[str, object]:
        """What differs from the receipt of another answer to the same request."""
        ids = (self.prompt or Prompt(())).digests()["ids_sha256"]
        return {"ids_sha256": ids, "seed": self.sampling.seed, **self._end()}

    def _end(self) -> dict[str, object]:
        return {
            "finish": str(self.finish),
            "stopped_by": self.stopped_by,
            "usage": {**asdict(self.usage), "evaluated": self.usage.evaluated} if self.usage else None,
            "seconds": _seconds(self.timing),
        }

    def _in_effect(self) -> dict[str, object]:
        """The sampling, without what the server that answered is known to pass over, and without a length that nobody set."""
        told = self.sampling.as_json() | ({} if self.generates else {"max_tokens": 0})
        passed_over = self.server.get("ignores")
        unset = {"max_tokens"} if self.extras.open_end else set()
        gone = unset.union(passed_over if isinstance(passed_over, list | tuple) else ())
        return {name: None if name in gone else value for name, value in told.items()}

    def as_json(self, *, prompts: bool = False) -> dict[str, object]:
        """The receipt as JSON values, tokens and seconds. prompts: with the prompt's text and ids, not only their hashes."""
        return {
            "prompt": {
                "written": str(self.written),
                "source": self.source,
                "format": self.format,
                **(self.prompt or Prompt(())).digests(),
                **({"text": self.prompt.text, "ids": list(self.prompt.ids)} if prompts and self.prompt else {}),
                "findings": list(self.findings),
                "dropped": [dict(entry) for entry in self.dropped],
            },
            "sampling": self._in_effect(),
            "defaulted": list(self.defaulted),
            "ignored": list(self.ignored),
            "logprobs": self.extras.logprobs,
            "schema": self.extras.schema,
            "reproducible": self.reproducible,
            **self._end(),
            "scored": None if self.scored is None else _seconds(self.scored),
            "model": self.model,
            "engine": self.engine,
            **({"server": dict(self.server)} if self.server else {}),
            **({"remote": dict(self.remote)} if self.remote is not None else {}),
        }


def _seconds(timing: Timing) -> dict[str, float]:
    return {name: round(value, 6) for name, value in asdict(timing).items()}

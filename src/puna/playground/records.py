"""What the page is told while an answer grows: one record per token, before and after them one. Knows values; no transport."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping

from puna.errors import (
    ContextWindowError,
    EngineBusyError,
    EngineError,
    EngineLoadingError,
    EngineStoppedError,
    PunaError,
)
from puna.generation import Delta, Logprob, Receipt
from puna.server import upstream
from puna.server.answers import Turn

Record = dict[str, object]

_DIGITS = 4
"""Of a log-probability: 0.01 % of a probability, less than a page shows."""

CODES: tuple[tuple[type[PunaError], str], ...] = (
    (EngineLoadingError, "loading"),
    (EngineBusyError, "busy"),
    (EngineStoppedError, "stopped"),
    (EngineError, "engine"),
    (upstream.UpstreamDeniedError, "upstream"),
    (ContextWindowError, "context_window"),
)
"""What pages tell errors apart by; beside these, ``input`` for what was asked wrongly, and ``internal``."""


class Tokens:
    """Records of one answer's tokens. control: texts of control tokens by id, which have no bytes of their own."""

    def __init__(self, control: Mapping[int, str]) -> None:
        self._control = control
        self._count = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def of(self, delta: Delta) -> Iterator[Record]:
        """A record for each token of a piece of text; their texts join to it."""
        left = delta.text
        for n, token in enumerate(delta.logprobs):
            last = n == len(delta.logprobs) - 1
            decoded = self._utf8.decode(token.data)
            text = left if last else decoded if left.startswith(decoded) else ""
            left = left[len(text) :]
            if last:
                self._utf8.reset()
            yield self._record(text, token)
        if not delta.logprobs and delta.text:
            yield self._numbered({"id": None, "t": delta.text, "lp": None, "top": []})

    def _record(self, text: str, token: Logprob) -> Record:
        own = {} if token.data == text.encode() else {"bytes": token.data.hex()}
        top = [self._candidate(other) for other in token.top]
        return self._numbered({"id": _id(token), "t": text, "lp": round(token.logprob, _DIGITS), "top": top, **own})

    def _candidate(self, token: Logprob) -> list[object]:
        """``[id, text, log-probability]``, and ``"control"`` for a control token, whose text is only its name."""
        told = round(token.logprob, _DIGITS)
        if token.id in self._control:
            return [token.id, self._control[token.id], told, "control"]
        return [_id(token), token.data.decode("utf-8", "replace"), told]

    def _numbered(self, record: Record) -> Record:
        numbered = {"type": "tok", "i": self._count, **record}
        self._count += 1
        return numbered


def _id(token: Logprob) -> int | None:
    """A token's id; None where the engine tells none."""
    return token.id if token.id >= 0 else None


def start(turn: Turn) -> Record:
    """What is known before the first token."""
    return {
        "type": "start",
        "prompt_tokens": len(turn.prompt.ids) or None,
        "seed": turn.sampling.seed,
        "sampling": turn.sampling.as_json(),
        "findings": list(turn.findings),
        "format": turn.format,
    }


def done(receipt: Receipt, first: float) -> Record:
    """The end of an answer. first: seconds until its first token."""
    usage, timing = receipt.usage, receipt.timing
    return {
        "type": "done",
        "finish": str(receipt.finish),
        "stopped_by": receipt.stopped_by,
        "usage": usage
        and {"prompt": usage.prompt, "cached": usage.cached, "evaluated": usage.evaluated, "output": usage.output},
        "timings": {
            "queue": round(timing.queue, 6),
            "prefill": round(timing.prefill, 6),
            "decode": round(timing.decode, 6),
            "first": round(first, 6),
        },
        "reproducible": receipt.reproducible,
    }


def told(failure: PunaError) -> Record:
    """An error as the page is told: what went wrong, and whether the same request may succeed later."""
    error = upstream.told(failure)
    code = next(
        (name for kind, name in CODES if isinstance(error, kind)), "input" if error.status < 500 else "internal"
    )
    facts: Record = {"code": code, "message": str(error), "retryable": isinstance(error, EngineError)}
    if isinstance(error, ContextWindowError):
        room = error.context - error.prompt_tokens
        facts |= {
            "over": error.prompt_tokens + error.max_tokens - error.context,
            "fits_max_tokens": room if room > 0 else None,
        }
    return facts


def failure(error: PunaError) -> Record:
    """The record of an answer that breaks off."""
    return {"type": "error", **told(error)}

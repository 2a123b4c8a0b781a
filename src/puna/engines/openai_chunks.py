"""The chunks of a server that speaks the OpenAI API, read: text, log-probabilities, why it ended, usage. Knows no connection.

Both shapes of log-probabilities are read, that of chat completions and the older one of completions; llama.cpp gives the first in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from puna.engines.openai_found import sentence
from puna.errors import EndpointError
from puna.generation import Delta, Finish, Logprob, Usage

NO_ID = -1
"""Stands for a token's id, which the API does not tell."""

_FINISH = {"stop": Finish.STOP, "length": Finish.LENGTH}


@dataclass
class Told:
    """What the chunks have told so far, besides text. finish: None until the answer has ended."""

    finish: Finish | None = None
    stopped_by: str | None = None
    usage: Usage | None = None
    id: str = ""
    model: str = ""
    fingerprint: str = ""

    def read(self, chunk: object) -> list[Delta]:
        """The new text of a chunk.

        Raises:
            EndpointError: it tells of an error, or is no chunk.
        """
        if isinstance(chunk, dict) and (chunk.get("error") or chunk.get("object") == "error"):
            raise EndpointError(f"the stream broke off: {sentence(chunk)}")
        try:
            return self._read(chunk)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise EndpointError(f"an event of the stream is no chunk of the OpenAI API: {chunk!r:.200}") from None

    def _read(self, chunk: Any) -> list[Delta]:
        self.id = str(chunk.get("id") or self.id)
        self.model = str(chunk.get("model") or self.model)
        self.fingerprint = str(chunk.get("system_fingerprint") or self.fingerprint)
        if chunk.get("usage"):
            self.usage = _usage(chunk["usage"]) or self.usage
        return [delta for choice in chunk.get("choices") or () for delta in self._choice(choice)]

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[Delta]:
        said = choice.get("delta") or choice.get("message") or {}
        text = choice["text"] if "text" in choice else said.get("content")
        if not isinstance(text, str | None):
            raise TypeError
        likely = tuple(logprobs_of(choice.get("logprobs")))
        if text or likely:
            yield Delta(text or "", max(1, len(likely)), likely)
        if choice.get("finish_reason"):
            self.finish = _FINISH.get(choice["finish_reason"], Finish.UNKNOWN)
            reason = choice.get("stop_reason")  # of vLLM: the stop text, or a token's id
            self.stopped_by = reason if isinstance(reason, str) else None


def _usage(told: Mapping[str, Any]) -> Usage | None:
    prompt, output = told.get("prompt_tokens"), told.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(output, int):
        return None
    cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Usage(prompt, min(int(cached), prompt), output)


def logprobs_of(told: Any) -> Iterator[Logprob]:
    """The log-probabilities of a choice, in either shape."""
    if not isinstance(told, dict):
        return
    if "content" in told:
        for entry in told["content"] or ():
            yield _token(entry, tuple(_token(other) for other in entry.get("top_logprobs") or ()))
        return
    columns: Sequence[Sequence[Any]] = [told.get(name) or () for name in ("tokens", "token_logprobs", "top_logprobs")]
    for text, logprob, others in zip_longest(*columns):
        tops = sorted((others or {}).items(), key=lambda item: -item[1])
        yield Logprob(
            NO_ID, data_of(text), _ln(logprob), tuple(Logprob(NO_ID, data_of(t), _ln(value)) for t, value in tops)
        )


def _token(entry: Mapping[str, Any], top: tuple[Logprob, ...] = ()) -> Logprob:
    told = entry.get("bytes")
    data = data_of(entry["token"]) if told is None else bytes(told)
    number = entry.get("id")  # of llama.cpp
    return Logprob(number if isinstance(number, int) else NO_ID, data, _ln(entry["logprob"]), top)


def data_of(text: str) -> bytes:
    r"""A token's text; ``bytes:\xe2\x80`` is a part of a character."""
    if text.startswith("bytes:\\x"):
        return bytes.fromhex(text.removeprefix("bytes:").replace("\\x", ""))
    return text.encode("utf-8", "replace")


def _ln(told: float | None) -> float:
    """0 or less; OpenAI writes -9999 for what is hardly possible."""
    return min(0.0, float(told or 0.0))

"""Completions of the OpenAI API: a text goes on, and its own log-probabilities can be asked for.

    request   {"prompt": "...", "max_tokens": 16, "echo": true, "logprobs": 5, ...}
    whole     {"object": "text_completion", "choices": [{"text": "...", "logprobs": {...}, "finish_reason": "stop"}]}
    stream    {"object": "text_completion", "choices": [{"text": " a", "logprobs": null, "finish_reason": null}]}

With ``echo`` and ``logprobs`` the prompt's tokens come with their log-probabilities, as evaluation harnesses need them; the
first has none, and ``"max_tokens": 0`` asks for nothing else. Source: https://platform.openai.com/docs/api-reference/completions
and openai/openai-python types/completion_choice.py (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from puna.errors import InputError
from puna.generation import MAX_ALTERNATIVES, Delta, Extras, Logprob
from puna.wire import chunks, openai, reading, writing
from puna.wire.dialect import Choice, Dialect, Facts, Field, Given, Reading, Request, Sent

MAX_PROMPTS = 64
MAX_ID = 2**31 - 1

FIELDS = (
    Field("prompt", f"a text, up to {MAX_PROMPTS} texts, token ids, or up to {MAX_PROMPTS} lists of token ids",
          type="text or list"),
    Field("max_tokens", "longest answer, in tokens; 0 with `echo` asks only for the prompt's log-probabilities", "max_tokens"),
    *openai.SAMPLING,
    Field("logprobs", "log-probabilities, and so many alternatives of each token", type="whole number", span=(0, MAX_ALTERNATIVES)),
    Field("echo", "the prompt, as it was written, comes before the answer; nothing is translated then", type="flag"),
    Field("best_of", "OpenAI makes several answers and gives the best", only=(1,)),
    Field("suffix", "a text that comes after the answer", only=("",)),
)  # fmt: skip


def _read(given: Reading) -> Request:
    echo, stream = bool(reading.flag_of(given, "echo")), reading.flag_of(given, "stream")
    silent = given.values.get("max_tokens") == 0
    logprobs = reading.number_of(given, "logprobs")
    if silent and not (echo and logprobs is not None):
        raise InputError(
            "max_tokens must be 1 or more, but for the prompt's log-probabilities: give echo and logprobs too"
        )
    prompts, n = _prompts(given.values.get("prompt")), openai.choices_of(given)
    if len(prompts) * n > MAX_PROMPTS:
        raise InputError(
            f"{len(prompts)} prompts with n={n} ask for more than {MAX_PROMPTS} answers; send several requests"
        )
    return Request(
        prompts,
        replace(given.sampling, max_tokens=1) if silent else given.sampling,
        given.given | {"max_tokens"} if silent else given.given,
        stream,
        Extras(logprobs),
        n=n,
        echo=echo,
        silent=silent,
        ignored=openai.ignored_of(given),
        if_streamed=openai.if_streamed(given),
        settings=openai.settings_of(given),
    )


def _prompts(given: object) -> tuple[Given, ...]:
    if isinstance(given, str):
        return (_prompt("prompt", given),)
    if not isinstance(given, list) or not given:
        raise InputError(f"prompt must be text or a list that is not empty, not {reading.kind(given)}")
    if _is_id(given[0]):
        return (_prompt("prompt", given),)
    if len(given) > MAX_PROMPTS:
        raise InputError(f"prompt must have at most {MAX_PROMPTS} texts, not {len(given)}; send several requests")
    return tuple(_prompt(f"prompt[{n}]", entry) for n, entry in enumerate(given))


def _prompt(name: str, given: object) -> Given:
    if isinstance(given, str):
        if not given:
            raise InputError(f"{name} must not be empty; give the text that the model shall continue")
        reading.check_text(name, given)
        return given
    if isinstance(given, list) and given and all(map(_is_id, given)):
        return tuple(given)
    raise InputError(f"{name} must be text or token ids, whole numbers from 0 to {MAX_ID}, not {given!r:.100}")


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID


def _fits(body: Mapping[str, object], attributes: Mapping[str, str]) -> bool:  # noqa: ARG001
    return "prompt" in body and (isinstance(body["prompt"], list) or not _OWN.isdisjoint(body))


_OWN = frozenset({"max_tokens", "echo", "logprobs", "n", "model", "best_of", "suffix", "logit_bias", "stream_options"})
"""Fields of this dialect that the workshop's has not."""


class _Table:
    """The four lists of the older shape of log-probabilities. offset: characters before the first token."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self._partial = b""
        self.columns: dict[str, list[object]] = {
            "text_offset": [],
            "token_logprobs": [],
            "tokens": [],
            "top_logprobs": [],
        }

    def add(self, data: bytes, token: Logprob | None, top: int) -> None:
        columns = self.columns
        columns["text_offset"].append(self._offset)
        columns["tokens"].append(openai.spelled(data))
        columns["token_logprobs"].append(token.logprob if token else None)
        tops: dict[str, float] | None = None
        if token and top:  # the token itself is always among them, as at OpenAI
            tops = {name: other.logprob for name, other in openai.alternatives(token)} | {
                openai.spelled(data): token.logprob
            }
        columns["top_logprobs"].append(tops)
        self._partial += data
        try:
            self._offset += len(self._partial.decode("utf-8"))
            self._partial = b""
        except UnicodeDecodeError:
            pass  # a part of a character; it counts once it is whole


def _logprobs_of(choice: Choice, request: Request, tokens: Sequence[Logprob], offset: int, *, echo: bool) -> object:
    top = request.extras.logprobs
    if top is None:
        return None
    table = _Table(offset)
    for data, token in choice.echoed if echo else ():
        table.add(data, token, top)
    for token in tokens:
        table.add(token.data, token, top)
    return table.columns


def _whole(facts: Facts, request: Request, choices: Sequence[Choice]) -> object:
    entries = [
        {
            "index": choice.index,
            "text": (choice.prompt if request.echo else "") + choice.text,
            "logprobs": _logprobs_of(choice, request, choice.tokens, 0, echo=request.echo),
            "finish_reason": openai.FINISH[choice.ended.finish],
        }
        for choice in choices
    ]
    return openai.whole("text_completion", facts, request, choices, entries)


class _Stream(openai.Chunks):
    """Chunks: the prompt where it is echoed, each new text, why it ended."""

    kind = "text_completion"

    def begin(self, choices: Sequence[Choice]) -> Iterable[object]:
        if self.request.echo:
            for choice in choices:
                yield self._said(choice, choice.prompt, _logprobs_of(choice, self.request, (), 0, echo=True))

    def delta(self, choice: Choice, delta: Delta) -> Iterable[object]:
        before = choice.length - len(delta.text) + (len(choice.prompt) if self.request.echo else 0)
        logprobs = _logprobs_of(choice, self.request, delta.logprobs, before, echo=False)
        return (self._said(choice, delta.text, logprobs),)

    def end(self, choice: Choice) -> Iterable[object]:
        return (self._said(choice, "", None, openai.FINISH[choice.ended.finish]),)

    def _said(self, choice: Choice, text: str, logprobs: object, finish: str | None = None) -> object:
        return self.chunk({"index": choice.index, "text": text, "logprobs": logprobs, "finish_reason": finish})


def _write(request: Request) -> Sent:
    writing.plain(DIALECT.title, request, MAX_ALTERNATIVES)
    top = request.extras.logprobs
    body = {"prompt": writing.text_of(DIALECT.title, request), **openai.written(DIALECT.title, FIELDS, request)}
    return Sent(body if top is None else {**body, "logprobs": top})


DIALECT = Dialect(
    name="completion",
    title="OpenAI completions (vLLM)",
    source="https://platform.openai.com/docs/api-reference/completions",
    fields=FIELDS,
    defaults=replace(openai.DEFAULTS, max_tokens=16),
    read=_read,
    fits=_fits,
    whole=_whole,
    stream=_Stream,
    framing=openai.SSE,
    error=openai.error,
    broken=openai.error,
    write=_write,
    hear=chunks.hear,
    alternatives=MAX_ALTERNATIVES,
    scores=True,
)

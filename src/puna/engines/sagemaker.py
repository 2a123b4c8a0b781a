"""An endpoint that speaks the SageMaker Runtime API, as an engine: AWS's own, or puna's. Knows both calls and no dialect.

The model and its window are the endpoint's. What its container speaks is named, or found out by one cheap request; prompts go as messages where that
dialect has them, else as text.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import quote

import httpx

from puna.engines.aws import Signer
from puna.engines.aws_refusals import ContainerRefusedError, broken, code_of, refusal
from puna.engines.base import EngineInfo, Event, Speaks
from puna.engines.detecting import Detected, detect
from puna.engines.remote import Remote, checked, client, with_receipt
from puna.engines.strangers import beginning, lost, stranger
from puna.engines.timeouts import DEFAULTS, Timeouts, limited
from puna.errors import EndpointError, InputError, RefusedError, UnreachableError, unknown
from puna.generation import NO_EXTRAS, Delta, End, Extras, Finish, Prompt, Sampling, Timing
from puna.messages import Dialog
from puna.wire import eventstream, strictjson
from puna.wire.answer import MAX_RECORD, Answer
from puna.wire.dialect import Dialect, Request, Sent
from puna.wire.dialects import AUTO, DIALECTS, HEARS

CHARACTERS = 128
"""Of one token, at most, for the purpose of telling an answer that never ends from one that is long."""

SLACK = 2**16
"""Characters that any answer may have beyond that."""

_NAMES = frozenset(entry.name for entry in fields(Sampling))

_SPARE = frozenset(
    {"seed", "stream_options", "return_full_text", "details", "min_p", "top_k", "top_p", "repetition_penalty", "presence_penalty",
     "frequency_penalty"}
)  # fmt: skip
"""Fields that need not be sent to a container that refuses them by name, where they are off or are the client's own wish."""

_OFF: Mapping[str, object] = {
    "min_p": 0, "top_k": 0, "top_p": 1, "repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0,
}  # fmt: skip


@dataclass(slots=True)
class _Asked:
    """One request under way. began, first: by the clock, first None until there is text. kind: of an error that breaks it off."""

    began: float
    first: float | None = None
    kind: type[EndpointError] = UnreachableError
    facts: dict[str, object] = field(default_factory=dict)


class SageMaker(Remote):
    """The client of one endpoint. url: its address, such as http://127.0.0.1:8080. endpoint: its name, or NAME/COMPONENT.

    dialect: what its container speaks, one of ``puna.wire.dialects.DIALECTS``; auto: found out at the start. key: what goes as the bearer token.
    signer: signs every request, for AWS's own.

    Raises:
        InputError: no address, no name, or no such dialect.
    """

    def __init__(
        self,
        url: str,
        endpoint: str,
        *,
        dialect: str = AUTO,
        key: str | None = None,
        signer: Signer | None = None,
        timeouts: Timeouts = DEFAULTS,
    ) -> None:
        super().__init__(checked(url), timeouts)
        if not endpoint:
            raise InputError(
                "an endpoint must be named, as in sagemaker:NAME; `aws sagemaker list-endpoints` lists them"
            )
        if dialect != AUTO and dialect not in DIALECTS:
            raise InputError(unknown("dialect", dialect, (AUTO, *DIALECTS)))
        self.endpoint, _, self.component = endpoint.partition("/")
        self._wanted = dialect
        self._key = key
        self._signer = signer
        self._spoken = Detected(DIALECTS["workshop"])
        self._speaks = Speaks.MESSAGES
        self._streams = True
        self._refused: set[str] = set()

    async def start(self) -> EngineInfo:
        """Find the endpoint and, where it is not named, the dialect of its container, by a request for one token.

        Raises:
            UnreachableError: nothing answers. RefusedError: the endpoint does not take requests, or not ours. EndpointError: it is none.
        """
        if self._http is None:
            headers = {"Authorization": f"Bearer {self._key}"} if self._key else None
            verify = True if self._signer is None else self._signer.verify
            self._http = client(self.url, headers, self.timeouts, auth=self._signer, verify=verify)
        try:
            puna = await self._puna()
            self._spoken = await self._detected(puna)
        except BaseException:
            await self.close()
            raise
        return self._info(puna)

    def _info(self, puna: Mapping[str, Any]) -> EngineInfo:
        dialect = self._spoken.dialect
        # The workshop's own container takes text alone: messages are an addition of puna's.
        messages = dialect.messages and (bool(puna) or dialect.name != "workshop")
        self._speaks = Speaks.MESSAGES if messages else Speaks.TEXT
        found: dict[str, object] = {
            "api": "sagemaker",
            "dialect": dialect.name,
            "detected": self._wanted == AUTO,
            "logprobs": dialect.alternatives is not None,
            "alternatives": dialect.alternatives,
            "schema": dialect.name in {"chat", "lmi-chat"},
        }
        if not self._spoken.limits:
            found["max_tokens"] = "passed over in silence"
        if self._spoken.repeats:
            found["prompt"] = "repeated before the answer, and removed"
        return EngineInfo(
            str(puna.get("model") or self.endpoint),
            self.url,
            context=int(puna.get("context") or 0),
            slots=int(puna.get("slots") or 0),
            speaks=self._speaks,
            safe=messages and bool(puna),
            found=found,
        )

    async def _puna(self) -> Mapping[str, Any]:
        """What an endpoint of puna's says of itself; nothing, where it is another's."""
        if (httpx.URL(self.url).host or "").endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
            return {}
        try:
            async with self._client.stream("GET", "health") as answer:
                body = await beginning(answer)
        except httpx.HTTPError as error:
            raise lost(self.url, error, UnreachableError, self.timeouts) from error
        try:
            told = strictjson.loads(body)
        except ValueError:
            return {}
        return told if isinstance(told, dict) and {"endpoint", "dialect", "limits"} <= told.keys() else {}

    async def _detected(self, puna: Mapping[str, Any]) -> Detected:
        if self._wanted != AUTO:
            return Detected(DIALECTS[self._wanted])
        if puna and puna["dialect"] != "jumpstart":  # whose licence is the user's to accept
            # It takes all of them where none is set; chat tells most.
            return Detected(DIALECTS.get(str(puna["dialect"]), DIALECTS["chat"]))
        return await detect(self._one_token, f"endpoint {self.endpoint!r} at {self.url}")

    async def _one_token(self, dialect: Dialect, request: Request) -> bytes:
        asked = _Asked(time.monotonic())
        async with self._sent(
            dialect, replace(request, stream=_stream_field(dialect, streams=False)), asked, streams=False
        ) as answer:
            body = await beginning(answer, MAX_RECORD)
        if strange := stranger(self.url, answer, body):
            raise strange
        return body

    def stream(self, prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS) -> AsyncGenerator[Event, None]:
        """InvokeEndpointWithResponseStream, or InvokeEndpoint where that is refused; the receipt, where the endpoint gives one.

        Raises:
            InputError: what the dialect has no words for. RefusedError: the endpoint or its container will not. UnreachableError: nothing is there.
            EndpointError: the answer broke off, is none, or did not come in time.
        """
        return limited(self._stream(prompt, sampling, extras), self.timeouts, self.url)

    async def _stream(self, prompt: Prompt, sampling: Sampling, extras: Extras) -> AsyncGenerator[Event, None]:
        dialect, request = self._request(prompt, sampling, extras)
        asked = _Asked(time.monotonic(), facts={"dialect": dialect.name})
        echoed = prompt.text if self._spoken.repeats else ""
        told = Answer((dialect.hear, *HEARS), echoed)
        most = sampling.max_tokens * CHARACTERS + SLACK
        length = 0
        try:
            async with (
                self._sent(dialect, request, asked, streams=self._streams) as answer,
                aclosing(_deltas(self.url, answer, told)) as deltas,
            ):
                async for delta in deltas:
                    length += len(delta.text)
                    if length > most:
                        raise EndpointError(
                            f"{self.url} goes on and on: {length} characters, where {sampling.max_tokens} tokens were asked for; does its container "
                            "mind the longest answer, and is the dialect right?"
                        )
                    asked.first = asked.first or time.monotonic()
                    yield delta if extras.logprobs is not None else replace(delta, logprobs=())
                if not told.records and dialect.name != "workshop":
                    raise EndpointError(f"{self.url} answered with nothing; ask again, and see the container's log")
            yield await with_receipt(self._client, answer, _end(told, asked, sampling))
        except httpx.HTTPError as error:
            raise lost(self.url, error, asked.kind, self.timeouts) from error

    def _request(self, prompt: Prompt, sampling: Sampling, extras: Extras) -> tuple[Dialect, Request]:
        dialect = self._spoken.dialect
        given: str | Dialog = prompt.text
        if self._speaks is Speaks.MESSAGES and prompt.dialog is not None:
            given = prompt.dialog
        elif dialect.name == "chat":  # containers that have both tell them apart by the body
            dialect = DIALECTS["completion"]
        return dialect, Request((given,), sampling, _NAMES, _stream_field(dialect, streams=self._streams), extras)

    @asynccontextmanager
    async def _sent(
        self, dialect: Dialect, request: Request, asked: _Asked, *, streams: bool
    ) -> AsyncGenerator[httpx.Response, None]:
        """The answer to a request, once it is one: without what is refused by name, by the other call where streams are."""
        sent = dialect.write(request)
        while True:
            body = _without(sent.body, self._refused)
            async with self._client.stream(
                "POST", self._path(streams), json=body, headers=self._headers(sent, streams)
            ) as answer:
                if answer.status_code == httpx.codes.OK:
                    asked.kind = EndpointError  # from here on it is an answer that broke off
                    if self._refused:
                        asked.facts["unsent"] = sorted(self._refused)
                    if not streams:
                        asked.facts["streamed"] = False
                    yield answer
                    return
                told = await beginning(answer)
                error = refusal(self.url, self.endpoint, answer, told)
            if streams and _no_streams(answer, told, error):
                streams = self._streams = False
                sent = dialect.write(replace(request, stream=_stream_field(dialect, streams=False)))
            elif unwelcome := _unwelcome(body, error):
                self._refused |= unwelcome
            else:
                raise error

    def _path(self, streams: bool) -> str:
        call = "invocations-response-stream" if streams else "invocations"
        return f"endpoints/{quote(self.endpoint, safe='')}/{call}"

    def _headers(self, sent: Sent, streams: bool) -> dict[str, str]:
        headers = {"X-Amzn-SageMaker-Accept": "*/*"} if streams else {}
        if sent.attributes:
            told = ",".join(f"{name}={value}" for name, value in sent.attributes.items())
            headers["X-Amzn-SageMaker-Custom-Attributes"] = told
        return headers | ({"X-Amzn-SageMaker-Inference-Component": self.component} if self.component else {})


def _stream_field(dialect: Dialect, *, streams: bool) -> bool | None:
    """What the body says of it: a container cannot see which of the two calls was used. The workshop's has no such field."""
    return None if dialect.stream is None or dialect.name == "workshop" else streams


def _no_streams(answer: httpx.Response, body: bytes, error: EndpointError) -> bool:
    """Whether it is the stream that is refused, and not the request."""
    if isinstance(error, ContainerRefusedError) or not isinstance(error, RefusedError):
        return False
    if answer.status_code in {404, 405, 501}:
        return True
    return code_of(answer, body) == "ValidationError" and "stream" in str(error).lower()


def _unwelcome(body: Mapping[str, Any], error: EndpointError) -> set[str]:
    """Fields that the container refuses by name and that need not be sent."""
    if not isinstance(error, ContainerRefusedError):
        return set()
    flat = {**body, **body.get("parameters", {})}
    spare = {name for name in _SPARE & flat.keys() if name not in _OFF or flat[name] == _OFF[name]}
    return {name for name in spare if re.search(rf"\b{name}\b", str(error))}


def _without(body: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    """The body without fields of these names, but for those that are on."""

    def kept(fields_: Mapping[str, object]) -> dict[str, object]:
        return {
            name: value
            for name, value in fields_.items()
            if name not in names or (name in _OFF and value != _OFF[name])
        }

    inner = body.get("parameters")
    return {**kept(body), **({"parameters": kept(inner)} if isinstance(inner, dict) else {})}


async def _deltas(url: str, answer: httpx.Response, told: Answer) -> AsyncGenerator[Delta, None]:
    framed = answer.headers.get("content-type", "").startswith(eventstream.MEDIA_TYPE)
    frames = eventstream.Decoder()
    first = True
    async for data in answer.aiter_bytes():
        if first and not framed and (strange := stranger(url, answer, data)):
            raise strange
        first = False
        for payload in _payloads(url, frames, data) if framed else (data,):
            for delta in told.feed(payload):
                yield delta
    frames.close()
    for delta in told.close():
        yield delta


def _payloads(url: str, frames: eventstream.Decoder, data: bytes) -> Iterable[bytes]:
    for message in frames.feed(data):
        if message.kind != "event":
            raise broken(url, message)
        yield message.payload


def _end(told: Answer, asked: _Asked, sampling: Sampling) -> End:
    now = time.monotonic()
    first = asked.first or now
    by = told.stopped_by or (sampling.stop[0] if told.by_stop and len(sampling.stop) == 1 else None)
    return End(
        told.finish or Finish.UNKNOWN,
        told.usage,
        Timing(prefill=first - asked.began, decode=now - first),
        by,
        {**asked.facts, **told.facts},
    )

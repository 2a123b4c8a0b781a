"""An endpoint that speaks the SageMaker Runtime API, as an engine: AWS's own, or puna's. Knows both calls and no dialect.

The model and its window are the endpoint's. What its container speaks is named, or found out by one cheap request; prompts go as messages where that
dialect has them, else as text.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import httpx

from puna.engines.aws import Signer
from puna.engines.aws_refusals import ACCEPT, broken, refusal
from puna.engines.base import Counting, EngineInfo, Event, Speaks
from puna.engines.bounds import bounded
from puna.engines.detecting import Detected, detect
from puna.engines.openai_found import Asking, Found
from puna.engines.openai_messages import MessageCounter, refuse, told
from puna.engines.openai_servers import PUNA, UNKNOWN
from puna.engines.remote import MAX_FACT, Remote, checked, client, with_receipt
from puna.engines.reused import Sending
from puna.engines.sagemaker_requests import (
    NAMES,
    found_of,
    no_streams,
    own_facts,
    stream_field,
    unwelcome,
    without,
)
from puna.engines.strangers import beginning, body, first_bytes, lost, name_sender, stranger
from puna.engines.timeouts import DEFAULTS, Timeouts, limited
from puna.errors import EndpointError, InputError, UnreachableError, unknown
from puna.generation import NO_EXTRAS, Delta, End, Extras, Finish, Prompt, Sampling, Timing
from puna.messages import Dialog
from puna.wire import eventstream
from puna.wire.answer import MAX_RECORD, Answer
from puna.wire.dialect import Dialect, Request, Sent
from puna.wire.dialects import AUTO, DIALECTS, HEARS
from puna.wire.stops import Stops


@dataclass(slots=True)
class _Asked:
    """One request under way. began, first: by the clock, first None until there is text. kind: of an error that breaks it off.

    facts: for the receipt.
    """

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
        self._unsent: set[str] = set()
        self._asking: Asking | None = None
        self._found = Found(UNKNOWN, endpoint)
        self._counter: MessageCounter | None = None

    async def start(self) -> EngineInfo:
        """Find the endpoint and, where it is not named, the dialect of its container, by a request for one token.

        Raises:
            UnreachableError: nothing answers. RefusedError: the endpoint does not take requests, or not ours. EndpointError: it is none.
        """
        if self._http is None:
            headers = {"Authorization": f"Bearer {self._key}"} if self._key else None
            verify = None if self._signer is None else self._signer.verify
            self._http = client(self.url, headers, self.timeouts, auth=self._signer, verify=verify)
        try:
            puna = await self._puna()
            self._spoken = await self._detected(puna)
        except BaseException:
            await self.close()
            raise
        return self._info(puna)

    async def close(self) -> None:
        """Close the connections."""
        asking, self._asking, self._counter = self._asking, None, None
        if asking is not None:
            asking.close()
        await super().close()

    def _info(self, puna: Mapping[str, Any]) -> EngineInfo:
        dialect = self._spoken.dialect
        # The workshop's own container takes text alone: messages are an addition of puna's.
        messages = dialect.messages and (bool(puna) or dialect.name != "workshop")
        self._speaks = Speaks.MESSAGES if messages else Speaks.TEXT
        if puna and messages and self._signer is None and self._asking is None:
            self._asking = Asking(self.url, self._key)
            self._found = Found(PUNA, self.endpoint, renders=True)
        return EngineInfo(
            str(puna.get("model") or self.endpoint),
            self.url,
            context=int(puna.get("context") or 0),
            slots=int(puna.get("slots") or 0),
            speaks=self._speaks,
            safe=messages and bool(puna),
            found=found_of(self._spoken, detected=self._wanted == AUTO),
        )

    async def _puna(self) -> Mapping[str, Any]:
        """What an endpoint of puna's says of itself; nothing, where it is another's."""
        if (httpx.URL(self.url).host or "").endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
            return {}
        try:
            # A head or a body may also come byte by byte, which is what no endpoint of puna's does.
            async with asyncio.timeout(2 * self.timeouts.first), self._client.stream("GET", "health") as answer:
                return own_facts(await beginning(answer))
        except TimeoutError:
            raise UnreachableError(
                f"{self.url} did not end an answer within {2 * self.timeouts.first:g} s; is it an endpoint, and up?"
            ) from None
        except httpx.HTTPError as error:
            raise lost(self.url, error, UnreachableError, self.timeouts) from error

    async def _detected(self, puna: Mapping[str, Any]) -> Detected:
        if self._wanted != AUTO:
            return Detected(DIALECTS[self._wanted])
        if puna.get("dialect") == "jumpstart":
            raise InputError(f"endpoint {self.endpoint!r} at {self.url} demands that a licence be accepted; {ACCEPT}")
        if puna:  # it takes all of them where none is set; chat tells most
            return Detected(DIALECTS.get(str(puna["dialect"]), DIALECTS["chat"]))
        try:
            return await detect(self._one_token, self._who)
        except EndpointError as error:
            name_sender(error, self.url, self._who)
            raise

    async def _one_token(self, dialect: Dialect, request: Request) -> bytes:
        asked = _Asked(time.monotonic())
        whole = replace(request, stream=stream_field(dialect, streams=False))
        try:
            async with (
                asyncio.timeout(self.timeouts.first),
                self._sent(dialect, whole, asked, streams=False) as answer,
            ):
                body = await first_bytes(answer, MAX_RECORD)
        except TimeoutError:
            raise EndpointError(
                f"{self.url} did not answer a request for one token within {self.timeouts.first:g} s (time-out 'first'); ask again, or name "
                "the container's dialect"
            ) from None
        except httpx.HTTPError as error:
            raise lost(self.url, error, asked.kind, self.timeouts) from error
        if strange := stranger(self.url, answer, body):
            raise strange
        return body

    @property
    def _who(self) -> str:
        return f"endpoint {self.endpoint!r} at {self.url}"

    @property
    def renders(self) -> bool:
        """Whether the endpoint tells what prompt it makes of messages: puna's own, where no signature is wanted for that."""
        return self._found.renders

    async def prompt_of(self, dialog: Dialog) -> Prompt:
        """The exact prompt that the endpoint makes of the messages.

        Raises:
            InputError: it does not tell. EngineError: it refused.
        """
        return await asyncio.to_thread(told, self._questions, self._found, dialog)

    def counter(self) -> Counting:
        """Counts prompts of messages by asking the endpoint; raises as ``prompt_of``."""
        if self._counter is None:
            self._counter = MessageCounter(self._questions, self._found)
        return self._counter

    @property
    def _questions(self) -> Asking:
        if self._asking is None:
            raise refuse(self._found, self.url)
        return self._asking

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
        if extras.open_end and not request.open_end:
            asked.facts["max_tokens"] = sampling.max_tokens
        heard = Answer((dialect.hear, *HEARS), prompt.text if self._spoken.repeats else "")
        stops = Stops(sampling.stop)
        try:
            async with (
                self._sent(dialect, request, asked, streams=self._streams) as answer,
                aclosing(self._deltas(answer, heard)) as deltas,
            ):
                async for delta in bounded(self.url, deltas, None if request.open_end else sampling.max_tokens):
                    asked.first = asked.first or time.monotonic()
                    kept = replace(delta, text=stops.push(delta.text))
                    if extras.logprobs is None:
                        kept = replace(kept, logprobs=())
                    if kept.text or kept.logprobs:
                        yield kept
                    if stops.met is not None and not heard.ended:  # a container that does not know of stops goes on
                        break
                if not heard.records and dialect.name != "workshop":  # whose answer without text has no record
                    raise EndpointError(f"{self.url} answered with nothing; ask again, and see the container's log")
                if held := stops.rest():
                    yield Delta(held, 1)
            yield await with_receipt(self._client, answer, _end(heard, asked, sampling, stops))
        except httpx.HTTPError as error:
            raise lost(self.url, error, asked.kind, self.timeouts) from error

    async def _deltas(self, answer: httpx.Response, heard: Answer) -> AsyncGenerator[Delta, None]:
        try:
            async with aclosing(_deltas(self.url, answer, heard)) as deltas:
                async for delta in deltas:
                    yield delta
        except EndpointError as error:
            name_sender(error, self.url, self._who)
            raise

    def _request(self, prompt: Prompt, sampling: Sampling, extras: Extras) -> tuple[Dialect, Request]:
        dialect = self._spoken.dialect
        given: str | Dialog = prompt.text
        if self._speaks is Speaks.MESSAGES and prompt.dialog is not None:
            given = prompt.dialog
        elif prompt.dialog is not None and not given:
            raise InputError(
                f"the container of endpoint {self.endpoint!r} takes prompts as text (dialect {dialect.name!r}), so that messages must be written in the "
                "model's own format: name that with --format"
            )
        elif dialect.name == "chat":  # containers that have both tell them apart by the body
            dialect = DIALECTS["completion"]
        stream = stream_field(dialect, streams=self._streams)
        open_end = extras.open_end and dialect.messages and dialect.alternatives is not None
        return dialect, Request((given,), sampling, NAMES, stream, extras, open_end=open_end)

    @asynccontextmanager
    async def _sent(
        self, dialect: Dialect, request: Request, asked: _Asked, *, streams: bool
    ) -> AsyncGenerator[httpx.Response, None]:
        """The answer to a request, once it is one: without what is refused by name, by the other call where streams are."""
        sent = dialect.write(request)
        while True:
            body, sending = without(sent.body, self._unsent), Sending()
            try:
                async with self._client.stream(
                    "POST",
                    self._path(streams),
                    json=body,
                    headers=self._headers(sent, streams),
                    extensions=sending.extensions,
                ) as answer:
                    if answer.status_code == httpx.codes.OK:
                        asked.kind = EndpointError  # from here on it is an answer that broke off
                        asked.facts |= {"unsent": sorted(self._unsent)} if self._unsent else {}
                        asked.facts |= {} if streams else {"streamed": False}
                        yield answer
                        return
                    said = await beginning(answer)
                    error = refusal(self.url, self.endpoint, answer, said)
            except httpx.HTTPError as cut:
                if asked.kind is EndpointError or not sending.stale(cut):
                    raise
                continue
            if streams and no_streams(answer, said, error):
                streams = self._streams = False
                sent = dialect.write(replace(request, stream=stream_field(dialect, streams=False)))
            elif refused := unwelcome(body, error):
                self._unsent |= refused
            else:
                raise error

    def _path(self, streams: bool) -> str:
        call = "invocations-response-stream" if streams else "invocations"
        return f"endpoints/{quote(self.endpoint, safe='')}/{call}"

    def _headers(self, sent: Sent, streams: bool) -> dict[str, str]:
        headers = {"X-Amzn-SageMaker-Accept": "*/*"} if streams else {}
        if sent.attributes:
            attributes = ",".join(f"{name}={value}" for name, value in sent.attributes.items())
            headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
        return headers | ({"X-Amzn-SageMaker-Inference-Component": self.component} if self.component else {})


async def _deltas(url: str, answer: httpx.Response, heard: Answer) -> AsyncGenerator[Delta, None]:
    framed = answer.headers.get("content-type", "").startswith(eventstream.MEDIA_TYPE)
    frames = eventstream.Decoder()
    async with aclosing(body(url, answer)) as read:
        async for data in read:
            for payload in _payloads(url, frames, data) if framed else (data,):
                for delta in heard.feed(payload):
                    yield delta
    frames.close()
    for delta in heard.close():
        yield delta


def _payloads(url: str, frames: eventstream.Decoder, data: bytes) -> Iterable[bytes]:
    for message in frames.feed(data):
        if message.kind != "event":
            raise broken(url, message)
        yield message.payload


def _end(heard: Answer, asked: _Asked, sampling: Sampling, stops: Stops) -> End:
    now = time.monotonic()
    first = asked.first or now
    by = stops.met or heard.stopped_by
    if by is None and heard.by_stop and len(sampling.stop) == 1:
        (by,) = sampling.stop
    return End(
        Finish.STOP if stops.met else heard.finish or Finish.UNKNOWN,
        heard.usage,
        Timing(prefill=first - asked.began, decode=now - first),
        by,
        {**asked.facts, **{name: told[:MAX_FACT] for name, told in heard.facts.items()}},
    )

"""An endpoint that speaks the SageMaker Runtime API, as an engine. Knows the workshop's dialect; signs nothing.

The model, its format and its window are the endpoint's, so prompts go as messages, or as the caller's own text.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import fields
from typing import Any
from urllib.parse import quote

import httpx

from puna.engines.base import EngineInfo, Event
from puna.engines.remote import Remote, checked, client, lost, with_receipt
from puna.errors import EndpointError, InputError, RefusedError, UnreachableError
from puna.generation import NO_EXTRAS, Delta, End, Extras, Finish, Prompt, Sampling, Timing
from puna.wire import eventstream, jsonlines, workshop
from puna.wire.dialect import Request

_OFF = Sampling()
_TOLD: Mapping[str, object] = {
    entry.name: getattr(_OFF, entry.name) if entry.name.endswith("_penalty") else None for entry in fields(Sampling)
}
"""Sampling parameters, each with the value that need not be sent."""


class SageMaker(Remote):
    """The client of one endpoint. url: its address, such as http://127.0.0.1:8080."""

    def __init__(self, url: str, endpoint: str) -> None:
        super().__init__(checked(url))
        self.endpoint = endpoint

    async def start(self) -> EngineInfo:
        """Nothing is sent: whether the endpoint answers shows with the first prompt."""
        if self._http is None:
            self._http = client(self.url)
        return EngineInfo(self.endpoint, self.url, context=0, slots=0)

    async def stream(
        self, prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS
    ) -> AsyncGenerator[Event, None]:
        """InvokeEndpointWithResponseStream; then the receipt, where the endpoint gives one.

        Raises:
            InputError: log-probabilities or a schema, which the workshop's dialect has no words for.
        """
        for wanted, name in ((extras.logprobs, "log-probabilities"), (extras.schema, "a JSON schema")):
            if wanted is not None:
                raise InputError(
                    f"{name} cannot be asked of {self.url} through this client; ask its OpenAI route, or without"
                )
        request = Request(
            (prompt.text if prompt.dialog is None else prompt.dialog,),
            sampling,
            # All that may differ from the container's own defaults; a penalty that is off is off everywhere.
            frozenset(name for name in _TOLD if getattr(sampling, name) != _TOLD[name]),
        )
        path = f"/endpoints/{quote(self.endpoint, safe='')}/invocations-response-stream"
        began = time.monotonic()
        first: float | None = None
        kind: type[EndpointError] = UnreachableError
        try:
            async with self._client.stream("POST", path, json=workshop.write_request(request)) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise RefusedError(_refusal(self.url, answer.status_code, await answer.aread()), answer.status_code)
                kind = EndpointError  # from here on it is a stream that broke off
                async for text in _texts(answer):
                    first = first or time.monotonic()
                    yield Delta(text)
            timing = Timing(prefill=(first or began) - began, decode=time.monotonic() - (first or began))
            yield await with_receipt(self._client, answer, End(Finish.UNKNOWN, None, timing))
        except httpx.HTTPError as error:
            raise lost(self.url, error, kind) from error


async def _texts(answer: httpx.Response) -> AsyncGenerator[str, None]:
    frames, lines = eventstream.Decoder(), jsonlines.Decoder()
    async for data in answer.aiter_raw():
        for message in frames.feed(data):
            for text in _records(message, lines):
                yield text
    frames.close()
    for record in lines.close():
        yield workshop.read_outputs(record)


def _records(message: eventstream.Message, lines: jsonlines.Decoder) -> Iterator[str]:
    if message.kind != "event":
        name = message.headers.get(":exception-type", message.headers.get(":error-code", message.kind))
        raise EndpointError(f"the stream broke off with {name!s}: {_sentence(message.payload)}")
    for record in lines.feed(message.payload):
        yield workshop.read_outputs(record)


def _refusal(url: str, status: int, body: bytes) -> str:
    return f"{url} refused the prompt ({status}): " + _sentence(body)


def _sentence(body: bytes) -> str:
    """The innermost sentence of an AWS error: the container's own, where it has one."""
    try:
        said: Any = httpx.Response(200, content=body).json()
        inner = said.get("OriginalMessage")
        if inner:
            return _sentence(inner.encode())
        return str(said.get("Message") or said.get("message") or said.get("error") or said)
    except (ValueError, AttributeError):
        return str(body, "utf-8", "replace")[:500] or "no message"

"""A server that speaks the OpenAI API, as an engine: vLLM, llama.cpp, Ollama, puna itself. Knows requests and connections.

Messages go to ``/chat/completions``, texts to ``/completions``; always streamed. Which parameters a server passes over it does not say, so
nobody knows whether an answer can be had again; what it refuses by name is left out of later requests where it is off anyhow.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import httpx

from puna.engines.base import EngineInfo, Event
from puna.engines.openai_chunks import Told, sentence
from puna.engines.remote import Remote, checked, client, lost, with_receipt
from puna.errors import EndpointError, InputError, RefusedError, UnreachableError
from puna.generation import NO_EXTRAS, End, Extras, Finish, Prompt, Sampling, Timing
from puna.wire.sse import Decoder

_OFF: Mapping[str, object] = {
    "top_p": 1,
    "top_k": 0,
    "min_p": 0,
    "repetition_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "stream_options": {"include_usage": True},
}
"""Fields that need not be sent to a server that refuses them, where they have this value. Left out at once they would be what the
server has for a default: llama.cpp cuts at min_p 0.05 then."""


class OpenAI(Remote):
    """The client of one server. url: as clients' ``base_url``; ``/v1`` is added to an address alone. model: None for the only one.

    key: what goes as the bearer token.
    """

    def __init__(self, url: str, model: str | None = None, key: str | None = None) -> None:
        url = checked(url)
        super().__init__(url if httpx.URL(url).path.strip("/") else f"{url}/v1")
        self.model = model
        self._key = key
        self._refused: set[str] = set()

    async def start(self) -> EngineInfo:
        """Find out which model there is, where none is named.

        Raises:
            InputError: several, and none is named. EndpointError: the server does not say.
        """
        if self._http is None:
            self._http = client(self.url, {"Authorization": f"Bearer {self._key}"} if self._key else None)
        try:
            self.model = self.model or _only(self.url, await self._models())
        except BaseException:
            await self.close()
            raise
        return EngineInfo(self.model, self.url, context=0, slots=0)

    async def _models(self) -> list[Mapping[str, Any]]:
        try:
            answer = await self._client.get("models")
        except httpx.HTTPError as error:
            raise lost(self.url, error, UnreachableError) from error
        if answer.status_code != httpx.codes.OK:
            raise _refusal(self.url, answer.status_code, answer.content)
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            return [{**entry, "id": str(entry["id"])} for entry in answer.json()["data"]]
        raise EndpointError(f"{self.url}/models does not list models as the OpenAI API does; is it such a server?")

    async def stream(
        self, prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS
    ) -> AsyncGenerator[Event, None]:
        """An answer, piece by piece; an endpoint of puna's gives its receipt too.

        Raises:
            InputError: a schema. RefusedError: the server will not. UnreachableError: it is not there. EndpointError: it broke off.
        """
        if extras.schema is not None:
            raise InputError(f"a JSON schema cannot be asked of {self.url} through this client; ask without")
        path, body = self._request(prompt, sampling, extras)
        began = time.monotonic()
        kind: type[EndpointError] = UnreachableError
        try:
            while True:
                async with self._client.stream("POST", path, json=body) as answer:
                    if answer.status_code != httpx.codes.OK:
                        refusal = _refusal(self.url, answer.status_code, await answer.aread())
                        body = self._without(body, refusal)
                        continue
                    kind = EndpointError  # from here on it is a stream that broke off
                    async for event in self._events(answer, began):
                        yield event
                    return
        except httpx.HTTPError as error:
            raise lost(self.url, error, kind) from error

    def _request(self, prompt: Prompt, sampling: Sampling, extras: Extras) -> tuple[str, dict[str, object]]:
        """Path and body; every parameter is told, for servers have defaults of their own."""
        told = {name: value for name, value in sampling.as_json().items() if value not in (None, [])}
        body: dict[str, object] = {
            "model": self.model,
            **told,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        top = extras.logprobs
        if prompt.dialog is None:
            body |= {"prompt": prompt.text} | ({} if top is None else {"logprobs": top})
            return "completions", self._known(body)
        body |= {"messages": prompt.dialog.as_json()} | ({} if top is None else {"logprobs": True})
        return "chat/completions", self._known(body | ({"top_logprobs": top} if top else {}))

    def _known(self, body: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in body.items() if not (name in self._refused and value == _OFF[name])}

    def _without(self, body: dict[str, object], refusal: RefusedError) -> dict[str, object]:
        """A request without the fields that are refused by name and are off; raises where there are none."""
        unwelcome = {
            name
            for name, off in _OFF.items()
            if refusal.status in (400, 422) and name in str(refusal) and body.get(name) == off
        }
        if not unwelcome:
            raise refusal
        self._refused |= unwelcome
        return self._known(body)

    async def _events(self, answer: httpx.Response, began: float) -> AsyncGenerator[Event, None]:
        """Deltas, then one End."""
        media = answer.headers.get("content-type", "")
        if not media.startswith("text/event-stream"):
            said = (await answer.aread())[:200].decode("utf-8", "replace")
            raise EndpointError(
                f"{self.url} must answer with a stream, but answered with {media or 'no media type'}: {said}"
            )
        decoder, told = Decoder(), Told()
        first: float | None = None
        async for chunk in _chunks(answer, decoder):
            for delta in told.read(chunk):
                first = first or time.monotonic()
                yield delta
        if told.finish is None and not decoder.done:
            raise EndpointError(f"{self.url} ended the stream before the answer had ended; ask again")
        now = time.monotonic()
        remote: dict[str, Any] = {"id": told.id, "model": told.model, "engine": told.fingerprint}
        end = End(
            told.finish or Finish.UNKNOWN,
            told.usage,
            Timing(prefill=(first or now) - began, decode=now - (first or now)),
            told.stopped_by,
            {name: value for name, value in remote.items() if value} or None,
        )
        yield await with_receipt(self._client, answer, end)


async def _chunks(answer: httpx.Response, decoder: Decoder) -> AsyncGenerator[object, None]:
    async for data in answer.aiter_bytes():
        for chunk in decoder.feed(data):
            yield chunk
    for chunk in decoder.close():
        yield chunk


def _only(url: str, models: Sequence[Mapping[str, Any]]) -> str:
    """The first name of the one model that there is."""
    if not models:
        raise EndpointError(f"{url} has no model; load one there")
    names = [entry["id"] for entry in models]
    if len(models) == 1 or _one_by_several_names(models):
        return str(names[0])
    raise InputError(
        f"{url} has several models, so one must be named, by --model NAME, or by model = NAME in [[targets]]: {', '.join(names[:20])}"
    )


def _one_by_several_names(models: Sequence[Mapping[str, Any]]) -> bool:
    """Puna serves one model, and lists it by the endpoint's name and its own; vLLM tells the ``root`` of each ``--served-model-name``."""
    if all(entry.get("owned_by") == "puna" for entry in models):
        return True
    return all(entry.get("root") and entry["root"] == models[0].get("root") for entry in models)


def _refusal(url: str, status: int, body: bytes) -> RefusedError:
    try:
        said = sentence(httpx.Response(200, content=body).json())
    except ValueError:
        said = body.decode("utf-8", "replace")[:500] or "no message"
    return RefusedError(f"{url} refused the request ({status}): {said}", status)

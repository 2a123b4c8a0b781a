"""A server that speaks the OpenAI API, as an engine: vLLM, llama.cpp, Ollama, puna itself. Knows connections and events.

What the server is and offers is found out once, at the start. Where it takes token ids and has a tokenize route, prompts go as ids, and no
text in a message becomes a control token; else messages go to ``/chat/completions``, and texts to ``/completions``. Always streamed; a
whole answer is taken too, from a server that does not stream. Which parameters an unknown server passes over it does not say, so nobody
knows whether an answer can be had again; what it refuses by name is left out of later requests where it is off anyhow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx

from puna.engines import scoring, served
from puna.engines.base import Counting, EngineInfo, Event, Scored, Speaks
from puna.engines.bounds import bounded
from puna.engines.openai_found import QUESTION_SECONDS, Asking, Found, Template, find_out, refusal
from puna.engines.openai_messages import MessageCounter, refuse, told
from puna.engines.openai_requests import Refused, request
from puna.engines.openai_score import scored
from puna.engines.openai_servers import LLAMA_CPP, UNKNOWN
from puna.engines.remote import MAX_FACT, Remote, checked, client, lost, with_receipt
from puna.engines.reused import Sending
from puna.engines.strangers import beginning, body, name_sender
from puna.engines.timeouts import DEFAULTS, Timeouts, limited
from puna.errors import EndpointError, InputError, RefusedError, UnreachableError
from puna.generation import NO_EXTRAS, Delta, End, Extras, Finish, Prompt, Sampling, Segment, Timing
from puna.messages import Dialog
from puna.tokens.base import Tokenizer
from puna.wire import chunks
from puna.wire.answer import Answer, Expected

_EXPECTED = Expected(
    "an answer of the OpenAI API was expected, or a chunk of one", "is it a server of that API, and is its log quiet?"
)

_NOBODY = Found(UNKNOWN, "")


class OpenAI(Remote):
    """The client of one server. url: as clients' ``base_url``; ``/v1`` is added to an address alone. model: None for the only one.

    key: what goes as the bearer token. format: the name of the format in which the user wants prompts to be written, if any.
    """

    pings = "models"

    def __init__(
        self,
        url: str,
        model: str | None = None,
        key: str | None = None,
        *,
        format: str | None = None,  # noqa: A002
        timeouts: Timeouts = DEFAULTS,
    ) -> None:
        url = checked(url)
        super().__init__(url if httpx.URL(url).path.strip("/") else f"{url}/v1", timeouts)
        self.model = model
        self._key = key
        self._format = format
        self._refused = Refused()
        self._found = _NOBODY
        self._asking: Asking | None = None
        self._info: EngineInfo | None = None
        self._counter: MessageCounter | None = None

    async def start(self) -> EngineInfo:
        """Find out what the server is; of several models, one must be named.

        Raises:
            InputError: several, and none is named; or a format, where the server writes prompts itself. EndpointError: the server does not
                say what it has.
        """
        if self._http is None:
            headers = {"Authorization": f"Bearer {self._key}"} if self._key else None
            self._http = client(self.url, headers, self.timeouts)
        if self._info is not None and self._asking is not None:
            return self._info
        self._asking = Asking(self.url, self._key, seconds=min(QUESTION_SECONDS, self.timeouts.first))
        try:
            self._found = await asyncio.to_thread(find_out, self._asking, self.model)
            self._info = self._told()
        except BaseException:
            await self.close()
            raise
        self.model = self._found.model
        return self._info

    async def close(self) -> None:
        """Close the connections."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.close()
        await super().close()

    @property
    def template(self) -> Template | None:
        """The model's own chat template, where the server tells it."""
        return self._found.template

    @property
    def renders(self) -> bool:
        """Whether the server tells what prompt it makes of messages."""
        return self._found.renders

    async def prompt_of(self, dialog: Dialog) -> Prompt:
        """The exact prompt that the server makes of the messages.

        Raises:
            InputError: it does not tell. EngineError: it refused.
        """
        if not self.renders:
            raise refuse(self._found, self.url)
        return await asyncio.to_thread(told, self._questions, self._found, dialog)

    async def begun(self, dialog: Dialog) -> Prompt:
        """The exact prompt of the messages, the last of which is an answer that has begun; raises as ``prompt_of``."""
        if not self.renders:
            raise refuse(self._found, self.url)
        return await asyncio.to_thread(told, self._questions, self._found, dialog, begun=True)

    def counter(self) -> Counting:
        """Counts prompts of messages by asking the server; raises as ``prompt_of``."""
        if not self.renders:
            raise refuse(self._found, self.url)
        if self._counter is None:
            self._counter = MessageCounter(self._questions, self._found)
        return self._counter

    def vocabulary(self) -> Tokenizer:
        """The model's vocabulary, asked for by the server's own tokenize route. Its methods block.

        Raises:
            InputError: the server has no such route.
        """
        if self._found.tokens is None:
            raise InputError(f"{self.url} ({self._found.server.name}) does not tell token ids; ask one that does")
        return self._found.tokens

    async def encode(self, segments: tuple[Segment, ...]) -> tuple[int, ...]:
        """Ids by the server's own vocabulary; content never becomes a control id.

        Raises:
            InputError: the server has no route for it, or takes a message for a control token whatever is done.
        """
        if self._found.tokens is None:
            return await super().encode(segments)
        return await asyncio.to_thread(self._found.tokens.prompt, segments)

    async def score(self, ids: tuple[int, ...], top: int, start: int = 1) -> Scored:
        """By ``echo``, where the server has it; of llama.cpp token by token, as the embedded engine does it."""
        if self._found.server is LLAMA_CPP and self._found.ids:
            async with served.client(self._questions.root, self._key or "") as http:
                return await scoring.score(http, ids, top, start=start)
        if self._found.echo and self._found.ids:
            seconds = self.timeouts.first
            return await asyncio.to_thread(
                scored, self._questions, self._found, ids, top=top, start=start, seconds=seconds
            )
        return await super().score(ids, top, start)

    def stream(self, prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS) -> AsyncGenerator[Event, None]:
        """An answer, piece by piece; an endpoint of puna's gives its receipt too.

        Raises:
            InputError: what the server has not. RefusedError: the server will not. UnreachableError: it is not there. EndpointError: it
                broke off, or was silent for too long.
        """
        return limited(self._stream(prompt, sampling, extras), self.timeouts, self.url)

    async def _stream(self, prompt: Prompt, sampling: Sampling, extras: Extras) -> AsyncGenerator[Event, None]:
        path, body = request(self._found, prompt, sampling, extras)
        body = self._refused.known(body)
        began = time.monotonic()
        while True:
            kind: type[EndpointError] = UnreachableError
            sending = Sending()
            try:
                async with self._client.stream("POST", path, json=body, extensions=sending.extensions) as answer:
                    if answer.status_code != httpx.codes.OK:
                        body = self._refused.without(body, await self._refusal(answer, path))
                        continue
                    kind = EndpointError  # from here on it is a stream that broke off
                    async for event in self._events(answer, began, None if extras.open_end else sampling.max_tokens):
                        yield event
                    return
            except httpx.HTTPError as error:
                if kind is EndpointError or not sending.stale(error):
                    raise lost(self.url, error, kind, self.timeouts) from error

    async def _refusal(self, answer: httpx.Response, path: str) -> RefusedError:
        error = refusal(self.url, answer, await beginning(answer))
        if not isinstance(error, RefusedError):
            raise error
        if answer.status_code in {404, 405} and path == "completions" and "model" not in str(error):
            raise InputError(
                f"{self.url} takes messages only, not a text to go on with; send messages, or a prompt in a known format"
            )
        return error

    async def _events(
        self, answer: httpx.Response, began: float, max_tokens: int | None
    ) -> AsyncGenerator[Event, None]:
        """Deltas, then one End."""
        heard = Answer((chunks.hear,), expected=_EXPECTED)
        first: float | None = None
        try:
            async for delta in bounded(self.url, self._deltas(answer, heard), max_tokens):
                first = first or time.monotonic()
                yield delta
        except EndpointError as error:
            name_sender(error, self.url)
            raise
        now = time.monotonic()
        facts = {"id": "id", "model": "model", "engine": "system_fingerprint"}
        remote: dict[str, Any] = {
            name: heard.facts[said][:MAX_FACT] for name, said in facts.items() if said in heard.facts
        }
        timing = Timing(prefill=(first or now) - began, decode=now - (first or now))
        end = End(heard.finish or Finish.UNKNOWN, heard.usage, timing, heard.stopped_by, remote or None)
        yield await with_receipt(self._client, answer, end)

    async def _deltas(self, answer: httpx.Response, heard: Answer) -> AsyncGenerator[Delta, None]:
        """What a stream, or the whole answer of a server that does not stream, has of text."""
        async with aclosing(body(self.url, answer)) as read:
            async for data in read:
                for delta in heard.feed(data):
                    yield delta
        for delta in heard.close():
            yield delta
        if not heard.records:
            raise EndpointError(
                "an answer in JSON, or a stream of it, was expected, but nothing came; ask again, and see that server's log"
            )

    def _told(self) -> EngineInfo:
        found, speaks = self._found, self._speaks()
        control = frozenset(found.tokens.control) if found.tokens is not None else frozenset()
        return EngineInfo(
            found.model,
            self.url,
            found.context,
            found.slots,
            control=control,
            bos=found.bos if speaks is Speaks.IDS else None,
            speaks=speaks,
            safe=found.safe,
            found=replace(found, safe=found.safe or speaks is Speaks.IDS).as_json() | {"prompts": str(speaks)},
        )

    def _speaks(self) -> Speaks:
        """How prompts travel: ids where that can be, and the format is known."""
        found = self._found
        if self._format is not None and (found.server.templates_text or found.server.safe):
            raise InputError(
                f"{self.url} ({found.server.name}) writes prompts in its model's format itself, also those that come as text; leave the "
                f"format {self._format!r} out"
            )
        if found.ids and found.tokens is not None and (self._format is not None or found.template is not None):
            return Speaks.IDS
        return Speaks.MESSAGES if self._format is None else Speaks.TEXT

    @property
    def _questions(self) -> Asking:
        if self._asking is None:
            raise EndpointError("the client was closed; start it first")
        return self._asking

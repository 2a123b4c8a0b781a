"""The embedded engine: llama.cpp in a child process, spoken to over loopback HTTP. Knows token ids, not formats.

Always streamed, since llama.cpp does not notice that the client of a whole answer has gone. Prompts are sent as token
ids made from segments, since llama.cpp's own HTTP layer reads control tokens out of user text.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from puna.engines.admission import Slots
from puna.engines.base import EngineInfo, Event
from puna.engines.process import WorkerProcess
from puna.errors import EngineError, EngineStoppedError
from puna.generation import Delta, End, Finish, Prompt, Sampling, Segment, Timing, Usage
from puna.models.pretokenizers import matched_anyway
from puna.tokens.base import ControlToken, parted, runs

SILENCE_SECONDS = 300.0
"""Longest wait between two events. Prefill reports after each batch of 64 tokens, so this is ample for any model."""

_FINISH = {"eos": Finish.STOP, "word": Finish.STOP, "limit": Finish.LENGTH}


@dataclass(frozen=True, slots=True)
class LlamaCppSettings:
    """What to load and how. context: tokens of one request; threads: for decoding one stream, and for batches.

    control: the model's control tokens by text. matched: those of them that llama.cpp finds in any text, whether or not
    special tokens are asked for (GGUF's type "user defined"). bos: text of the token that the vocabulary puts first, if
    any. queue: requests that may wait for a slot. cache_reuse: least tokens of a chunk that is kept when what stood before it
    has gone; 0 keeps none.
    """

    path: Path
    name: str
    context: int
    slots: int
    threads: int
    batch_threads: int
    log: Path
    control: Mapping[str, int]
    matched: frozenset[str] = frozenset()
    bos: str | None = None
    queue: int = 256
    cache_reuse: int = 0


class LlamaCpp:
    """One model, loaded in one child process."""

    def __init__(self, settings: LlamaCppSettings) -> None:
        self.settings = settings
        self.slots = Slots(settings.slots, settings.queue)
        self.worker = WorkerProcess("puna.engines.worker", settings.log)
        self.address: str | None = None
        self._info: EngineInfo | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def ready(self) -> bool:
        """Whether the process runs with its model loaded."""
        return self._info is not None and self.worker.running

    async def start(self) -> EngineInfo:
        """Load the model; about half a second for the default one."""
        if self._info is not None:
            return self._info
        wanted, key = self.settings, secrets.token_urlsafe(24)
        report = await self.worker.start(
            {
                "path": str(wanted.path),
                "name": wanted.name,
                "context": wanted.context,
                "slots": wanted.slots,
                "threads": wanted.threads,
                "batch_threads": wanted.batch_threads,
                "key": key,
            }
        )
        # aiohttp, where the rest of puna uses httpx: half the processor time per token (benchmarks/endpoint.py), on cores
        # that llama.cpp wants for itself. Proxies of the user's environment have no business on loopback: no trust_env.
        self.address = report["address"]
        self._http = aiohttp.ClientSession(
            self.address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_SECONDS),
            # llama.cpp closes a connection after a stream, and any after 5 s or 100 requests: none is used twice.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
        )
        # In the build, and so in every receipt: a moved cache also changes the answers of later prompts that hit it.
        build = report["build"] + (f" cache_reuse={wanted.cache_reuse}" if wanted.cache_reuse else "")
        self._info = EngineInfo(wanted.name, build, wanted.context, wanted.slots, frozenset(wanted.control), wanted.bos)
        return self._info

    async def close(self) -> None:
        """End the process; streams that run fail with EngineStoppedError, and so do waiting ones."""
        self.slots.close()
        http, self._http, self._info = self._http, None, None
        if http is not None:
            await http.close()  # first: the process ends at once when its requests have been dropped
        await self.worker.stop()

    async def encode(self, segments: tuple[Segment, ...]) -> tuple[int, ...]:
        """Ids by the model's own vocabulary, one call for a whole prompt; special parsing is off throughout."""
        control = self.settings.control
        matched = self.settings.matched | matched_anyway(control)  # what a message spells out of them is cut inside
        content: list[str | int] = []
        for run in runs(segments, control):
            content.extend([control[run.text]] if isinstance(run, ControlToken) else parted(run, matched))
        if not content:
            return ()
        body = {"content": content, "add_special": False, "parse_special": False}
        try:
            async with self.http.post("/tokenize", json=body) as answer:
                said = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise await self._failure(error) from error
        if answer.status != HTTPStatus.OK:
            raise EngineError(_complaint(said))
        return tuple(json.loads(said)["tokens"])

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Event, None]:
        """Deltas, then one End. Leaving early drops the connection, which stops llama.cpp at its next batch."""
        async with self.slots.slot() as waited:
            began = time.monotonic()
            try:
                body = request(prompt, sampling, self.settings.cache_reuse)
                async with self.http.post("/completion", json=body) as answer:
                    if answer.status != HTTPStatus.OK:
                        raise EngineError(_complaint(await answer.read()))
                    async for event in _events(answer, waited, began):
                        yield event
            except (aiohttp.ClientError, TimeoutError) as error:
                raise await self._failure(error) from error

    @property
    def http(self) -> aiohttp.ClientSession:
        """The client of llama.cpp's own server, key included; for benchmarks and tests beside puna's own use.

        Raises:
            EngineStoppedError: the engine is not running.
        """
        if self._http is None:
            raise EngineStoppedError("the engine is not running; start it first")
        return self._http

    async def _failure(self, error: Exception) -> EngineError:
        if isinstance(error, TimeoutError):
            return EngineError(f"the engine said nothing for {SILENCE_SECONDS:.0f} s; see its log {self.settings.log}")
        if not await self.worker.ends_within(1.0):
            return EngineError(f"the engine broke the connection ({error}); see its log {self.settings.log}")
        return self.worker.lost()


def request(prompt: Prompt, sampling: Sampling, cache_reuse: int = 0) -> dict[str, object]:
    """The body of llama.cpp's native ``/completion``.

    cache_reuse: llama.cpp moves cached chunks of at least so many tokens to their new place when the front of a prompt
    changes. What they were computed from has gone, so the answer is not that of a fresh prefill (benchmarks/pruning.py).
    ``samplers`` names all that take part, in order: its default chain also holds penalties, DRY, typical-p, min-p 0.05 and
    XTC, and puts the temperature last. A temperature of 0 is greedy.
    """
    greedy = sampling.temperature == 0
    return {
        "prompt": list(prompt.ids),
        "n_predict": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_k": 1 if greedy else sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "samplers": ["top_k"] if greedy else ["temperature", "top_k", "top_p", "min_p"],
        "seed": sampling.seed,
        "stop": list(sampling.stop),
        "stream": True,
        "return_progress": True,
        "return_tokens": True,
        "cache_prompt": True,
        **({"n_cache_reuse": cache_reuse} if cache_reuse else {}),
    }


async def _events(answer: aiohttp.ClientResponse, waited: float, began: float) -> AsyncIterator[Event]:
    held = 0  # tokens whose text llama.cpp holds back: half a character, or the start of a stop text
    first: float | None = None
    async for said in _records(answer):
        if "prompt_progress" in said:
            continue
        first = first or time.monotonic()
        if said["stop"]:
            if said["content"]:
                yield Delta(said["content"], held)
            yield _end(said, Timing(waited, first - began, time.monotonic() - first))
            return
        held += len(said["tokens"])
        if said["content"]:
            yield Delta(said["content"], held)
            held = 0


async def _records(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The JSON of each server-sent event, ``data: {...}`` and a blank line; an error ends them."""
    buffer = b""
    async for data in answer.content.iter_any():
        *lines, buffer = (buffer + data).split(b"\n\n")
        for line in lines:
            name, _, value = line.partition(b": ")
            if name == b"error":
                raise EngineError(_complaint(value))
            said = json.loads(value)
            if "error" in said:
                raise EngineError(_complaint(value))
            yield said


def _end(said: dict[str, Any], timing: Timing) -> End:
    usage = Usage(prompt=said["tokens_evaluated"], cached=said["timings"]["cache_n"], output=said["tokens_predicted"])
    return End(_FINISH.get(said["stop_type"], Finish.UNKNOWN), usage, timing, said["stopping_word"] or None)


def _complaint(body: bytes) -> str:
    try:
        said = json.loads(body)
        text = str(said.get("error", said).get("message", said)) if isinstance(said, dict) else str(said)
    except (ValueError, AttributeError):
        text = body.decode("utf-8", "replace")
    return f"the engine refused the request: {text[:500]}"

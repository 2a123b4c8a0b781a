"""The embedded engine: llama.cpp in a child process, spoken to over loopback HTTP. Knows token ids, not formats.

Always streamed, since llama.cpp does not notice that the client of a whole answer has gone. Prompts are sent as token
ids made from segments, since llama.cpp's own HTTP layer reads control tokens out of user text.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path

import aiohttp

from puna.engines import scoring, sharing
from puna.engines.admission import Slot, Slots
from puna.engines.base import EngineInfo, Event, Scored, Variant, each_alone
from puna.engines.completion import complaint, events, hold_to_schema, request
from puna.engines.contents import Contents
from puna.engines.process import WorkerProcess
from puna.engines.served import SILENCE_SECONDS, Served, client, new_folder, remove
from puna.engines.sharing import Shared, led
from puna.engines.watch import State, Watch, silent
from puna.errors import EngineError, EngineStoppedError, ModelFileError
from puna.generation import NO_EXTRAS, End, Extras, Prompt, Sampling, Segment, Timing
from puna.models.pretokenizers import matched_anyway
from puna.tokens.base import ControlToken, parted, runs

NOTICE_SECONDS = 3.0
"""How much later than its connections a process's end is noticed, at most, on a busy machine."""
WORKER = "puna.engines.worker"

EXACT_SLOTS = 64
"""From so many slots on a batch is so large that what else is in it changes the last digits (``worker.parameters``). So does a second
thread for one stream: flash attention then splits long prompts between them. Without it digits move in batches of any size."""


@dataclass(frozen=True, slots=True)
class LlamaCppSettings:
    """What to load and how. context: tokens of one request; threads: for decoding one stream, and for batches.

    control: the model's control tokens by text. matched: those of them that llama.cpp finds in any text, whether or not
    special tokens are asked for (GGUF's type "user defined"). bos: text of the token that the vocabulary puts first, if
    any. queue: requests that may wait for a slot. cache_reuse: least tokens of a chunk that is kept when what stood before it
    has gone; 0 keeps none. prompt_cache: MiB for what slots lose to other prompts. flash_attention: auto, on or off. cache_type: f16, q8_0
    or q4_0. gpu_layers: None for as many as fit.
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
    prompt_cache: int = 0
    flash_attention: str = "auto"
    cache_type: str = "f16"
    gpu_layers: int | None = None

    @property
    def words(self) -> str:
        """Of a build, and so of every receipt: what changes answers, where it is not the default.

        A moved cache also changes the answers of later prompts that hit it. prompt_cache is none of them: what comes back from it is what
        was there, bit for bit.
        """
        defaults = {"cache_reuse": 0, "flash_attention": "auto", "cache_type": "f16", "gpu_layers": None}
        told = {name: getattr(self, name) for name in defaults}
        return "".join(f" {name}={value}" for name, value in told.items() if value != defaults[name])

    @property
    def reproducible(self) -> bool:
        """Whether, on processors, an answer is the same whatever else runs and is cached."""
        flash = self.flash_attention != "off"
        return flash and self.threads == 1 and self.cache_reuse == 0 and self.slots < EXACT_SLOTS


class LlamaCpp:
    """One model in one child process, and in the next one when that ends. tell: hears of it, in sentences.

    A request holds one process: its stream fails when that ends. Who waits for a slot meanwhile keeps its place, and so does
    who gets one: it waits for the model to be loaded again. ``encode``, the first call of every request, does not wait.
    """

    def __init__(self, settings: LlamaCppSettings, *, tell: Callable[[str], None] = silent) -> None:
        self.settings = settings
        self.slots = Slots(settings.slots, settings.queue)
        self._watch = Watch(self._load, tell)
        self._file: tuple[int, int] | None = None
        self._build = ""
        self._gpu = ""
        self._contents = Contents(settings.slots)

    @property
    def ready(self) -> bool:
        """Whether the process runs with its model loaded."""
        return self._watch.ready

    @property
    def state(self) -> State:
        """Where the engine stands; stopped: before its start and after its close."""
        return self._watch.state

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return self.slots.waiting

    @property
    def restarts(self) -> int:
        """How often the model was loaded again since the start."""
        return self._watch.restarts

    @property
    def trouble(self) -> str | None:
        """Why the model could not be loaded again, as long as that holds."""
        return self._watch.trouble

    @property
    def worker(self) -> WorkerProcess:
        """The process that runs; raises as ``http``."""
        return self._watch.now().worker

    @property
    def address(self) -> str:
        """URL of llama.cpp's own server; raises as ``http``."""
        return self._watch.now().address

    @property
    def folder(self) -> Path:
        """Where a prompt that is shared lies for a while; raises as ``http``."""
        return self._watch.now().folder

    @property
    def http(self) -> aiohttp.ClientSession:
        """The client of llama.cpp's own server, key included; for benchmarks and tests beside puna's own use.

        Raises:
            EngineLoadingError: the model is being loaded. EngineStoppedError: the engine is not running.
        """
        return self._watch.now().http

    async def start(self) -> EngineInfo:
        """Load the model; about half a second for the default one. Cancelled, it kills the process and returns."""
        await self._watch.start()
        wanted = self.settings
        build = self._build + wanted.words + (f" gpu={self._gpu}" if self._gpu else "")
        reproducible = None if self._gpu else wanted.reproducible
        control = frozenset(wanted.control)
        return EngineInfo(wanted.name, build, wanted.context, wanted.slots, control, wanted.bos, reproducible)

    async def close(self) -> None:
        """End the process; streams that run fail with EngineStoppedError, and so do waiting ones."""
        self.slots.close()
        await self._watch.close()

    async def encode(self, segments: tuple[Segment, ...]) -> tuple[int, ...]:
        """Ids by the model's own vocabulary, one call for a whole prompt; special parsing is off throughout."""
        control = self.settings.control
        matched = self.settings.matched | matched_anyway(control)  # what a message spells out of them is cut inside
        content: list[str | int] = []
        for run in runs(segments, control):
            content.extend([control[run.text]] if isinstance(run, ControlToken) else parted(run, matched))
        served = self._watch.now()
        if not content:
            return ()
        body = {"content": content, "add_special": False, "parse_special": False}
        async with self._failing(served), served.http.post("/tokenize", json=body) as answer:
            said = await answer.read()
        if answer.status != HTTPStatus.OK:
            raise EngineError(complaint(said))
        return tuple(json.loads(said)["tokens"])

    def stream(self, prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS) -> AsyncGenerator[Event, None]:
        """Deltas, then one End. Leaving early drops the connection, which stops llama.cpp at its next batch."""
        return self._stream(prompt, sampling, extras)

    def together(self, prompt: Prompt, variants: Sequence[Variant]) -> Sequence[AsyncGenerator[Event, None]]:
        """A stream for each variant; the first one that gets a slot evaluates the prompt for all."""
        if len(variants) < 2 or self.slots.size == 1 or len(prompt.ids) < sharing.WORTH:
            return each_alone(self, prompt, variants)
        shared = Shared(prompt, len(variants), self.settings.cache_reuse)
        return [self._stream(prompt, sampling, extras, shared) for sampling, extras in variants]

    async def _stream(
        self, prompt: Prompt, sampling: Sampling, extras: Extras, shared: Shared | None = None
    ) -> AsyncGenerator[Event, None]:
        asked, event, cached = time.monotonic(), None, None
        with ExitStack() as member:
            if shared is not None:
                member.callback(shared.leave)
            body = request(prompt, sampling, extras, self.settings.cache_reuse)
            async with self._slot(prompt.ids) as slot:
                served = await self._watch.life()
                began = time.monotonic()
                async with self._failing(served):
                    if shared is not None:
                        cached = await shared.fill(served, slot.number)
                        member.close()
                    body["id_slot"] = slot.number
                    if extras.schema is not None:
                        await hold_to_schema(served.http, body)
                    async with served.http.post("/completion", json=body) as answer:
                        if answer.status != HTTPStatus.OK:
                            raise EngineError(complaint(await answer.read()))
                        hear = partial(served.contents.hear, slot.number, prompt.ids)
                        async for event in events(answer, began - asked, began, extras, hear):
                            yield led(event, cached)
                    if not isinstance(event, End):
                        raise aiohttp.ServerDisconnectedError("it ended the answer too early")

    async def score(self, ids: tuple[int, ...], top: int, start: int = 1) -> Scored:
        """Each token by the probability that it had there; what stands before the first of them is a prompt, which may be cached."""
        async with self._slot(ids) as slot:
            served, began = await self._watch.life(), time.monotonic()
            async with self._failing(served):
                served.contents.put(slot.number, ())
                scored = await scoring.score(served.http, ids, top, slot.number, start=start)
                served.contents.put(slot.number, ids)
            return replace(scored, timing=Timing(slot.waited, time.monotonic() - began))

    def _slot(self, ids: tuple[int, ...]) -> AbstractAsyncContextManager[Slot]:
        """A slot for a prompt, once one is free: what it holds then decides which."""
        return self.slots.numbered(lambda free: self._contents.best(ids, free))

    async def _load(self) -> Served:
        """A new process, with a new key."""
        self._check_file()
        wanted, key, worker = self.settings, secrets.token_urlsafe(24), WorkerProcess(WORKER, self.settings.log)
        folder = new_folder()
        settings = {
            "path": str(wanted.path),
            "name": wanted.name,
            "context": wanted.context,
            "slots": wanted.slots,
            "threads": wanted.threads,
            "batch_threads": wanted.batch_threads,
            "prompt_cache": wanted.prompt_cache,
            "flash_attention": wanted.flash_attention,
            "cache_type": wanted.cache_type,
            "gpu_layers": wanted.gpu_layers,
            "key": key,
            "folder": str(folder),
        }
        try:
            report = await worker.start(settings)
        except BaseException:
            remove(folder)
            raise
        self._build, self._gpu = report["build"], report["gpu"]
        self._contents = Contents(wanted.slots)
        return Served(worker, client(report["address"], key), report["address"], folder, self._contents)

    def _check_file(self) -> None:
        """The file that was loaded first, or none: what is known of the model besides was read from that."""
        path = self.settings.path
        try:
            found = path.stat()
        except OSError as error:
            raise ModelFileError(f"cannot read the model file {path} ({error.strerror}); put it back") from error
        file = (found.st_size, found.st_mtime_ns)
        self._file = self._file or file
        if file != self._file:
            raise ModelFileError(
                f"the model file {path} is not the one that was loaded; put that back, or start puna anew"
            )

    @asynccontextmanager
    async def _failing(self, served: Served) -> AsyncIterator[None]:
        """Words for a connection that breaks."""
        try:
            yield
        except (aiohttp.ClientError, TimeoutError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not served.http.closed:  # aiohttp's word for a closed client
                raise
            raise await self._failure(served.worker, error) from error

    async def _failure(self, worker: WorkerProcess, error: Exception) -> EngineError:
        if self._watch.closed:
            return EngineStoppedError("the engine was closed before it had answered; ask again once it is back")
        if isinstance(error, TimeoutError):
            return EngineError(f"the engine said nothing for {SILENCE_SECONDS:.0f} s; see its log {self.settings.log}")
        if not await worker.ends_within(NOTICE_SECONDS):
            return EngineError(f"the engine broke the connection ({error}); see its log {self.settings.log}")
        return EngineStoppedError(f"{worker.end()}; the model is being loaded again, so ask again in a few seconds")

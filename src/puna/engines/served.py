"""One process that has a model loaded, with all that belongs to it: its client, its folder, what its slots hold."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from os import W_OK, X_OK, access
from pathlib import Path

import aiohttp

from puna.engines.contents import Contents
from puna.engines.process import WorkerProcess

SILENCE_SECONDS = 300.0
"""Longest wait between two events. Prefill reports after each batch of 64 tokens, so this is ample for any model."""

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # the folder made in it is the user's alone


@dataclass(frozen=True, slots=True)
class Served:
    """A running worker. folder: where llama.cpp may put the contents of slots for a while; it goes with the process."""

    worker: WorkerProcess
    http: aiohttp.ClientSession
    address: str
    folder: Path
    contents: Contents

    @property
    def running(self) -> bool:
        """Whether the process has not ended, as far as is known."""
        return self.worker.running

    async def ended(self) -> str:
        """Wait for the process's end; tells how it ended."""
        return await self.worker.ended()

    async def close(self) -> None:
        """End the process at once, which ends its streams; it has nothing to lose.

        Not the client first: a reader of a closed aiohttp session is never woken (aiohttp 3.14).
        """
        self.worker.kill()
        try:
            await self.worker.stop()
            await self.http.close()
        finally:
            remove(self.folder)


def new_folder() -> Path:
    """An empty folder of this user's own, in memory where the system has a place for that (Linux)."""
    memory = _SHARED_MEMORY.is_dir() and access(_SHARED_MEMORY, W_OK | X_OK)
    return Path(tempfile.mkdtemp(prefix="puna-", dir=_SHARED_MEMORY if memory else None))


def remove(folder: Path) -> None:
    """Remove a folder with what is in it; the worker may do so at the same time."""
    shutil.rmtree(folder, ignore_errors=True)


def client(address: str, key: str) -> aiohttp.ClientSession:
    """A client of llama.cpp's own HTTP server."""
    # aiohttp, where the rest of puna uses httpx: half the processor time per token (benchmarks/endpoint.py), on cores
    # that llama.cpp wants for itself. Proxies of the user's environment have no business on loopback: no trust_env.
    return aiohttp.ClientSession(
        address,
        headers={"Authorization": f"Bearer {key}"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_SECONDS),
        # llama.cpp closes a connection after a stream, and any after 5 s or 100 requests: none is used twice.
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
    )

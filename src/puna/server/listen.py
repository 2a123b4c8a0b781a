"""The life of a listening socket: bind, serve, stop. Knows uvicorn; nothing of what is served."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import uvicorn
from starlette.types import ASGIApp

from puna.errors import EngineError, InputError

T = TypeVar("T")

GRACE_SECONDS = 1
"""How long a stop waits for answers that are being written. By then their engine has been closed, which ends them at once."""


def bind(host: str, port: int, *, guarded: bool = False) -> socket.socket:
    """A bound socket; port 0 picks a free one. guarded: whether others than this machine may reach it.

    Raises:
        InputError: an address that others can reach, and it is not guarded; an unknown one; a port that is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InputError(f"--host {host!r} is no address of this machine ({error}); use 127.0.0.1") from error
    if not guarded and not ipaddress.ip_address(found[4][0]).is_loopback:
        raise InputError(
            f"--host {host} can be reached by others, so it needs --auth sigv4 or --auth token; say --auth none if everyone "
            f"may use it, or use 127.0.0.1"
        )
    # The protocol is named, since asyncio switches Nagle's delay off only where it is: 40 ms per request otherwise.
    bound = socket.socket(found[0], socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(found[4])
    except OSError as error:
        bound.close()
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            why = "is taken" if error.errno == errno.EADDRINUSE else "needs more rights than you have"
            raise InputError(f"port {port} of {host} {why}; choose another with --port (0 picks a free one)") from error
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return bound


def address_of(bound: socket.socket) -> str:
    """The socket's URL."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(work: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` on the fastest loop that is installed (uvloop has no Windows build)."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


class _Handler(logging.Handler):
    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line, whatever it is, but nothing of an upgrade that was offered: it is passed over, and rightly so."""
        said = record.getMessage()
        if "upgrade request" not in said and "WebSocket" not in said:
            self._log(f"uvicorn: {said}")


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the caller: it has an engine to stop first."""
        yield


@asynccontextmanager
async def listening(app: ASGIApp, bound: socket.socket, log: Callable[[str], None]) -> AsyncIterator[None]:
    """Serve ``app`` on ``bound`` until the block ends. log: hears what uvicorn has to say, such as of what is no HTTP."""
    config = uvicorn.Config(
        app,
        # httptools loses the body of a request that offers an upgrade, as Java's client does (h2c). h11 costs 3 us a chunk more.
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    handler = _Handler(log)
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(handler)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        while not server.started:
            if task.done():
                task.result()
                raise EngineError(f"the server ended before it listened on {address_of(bound)}")
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await task
        logger.removeHandler(handler)

"""What the clients of remote endpoints have in common: an address, connections, and the receipt that an endpoint of puna's gives."""

from __future__ import annotations

import asyncio
import math
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx

from puna.engines.base import EngineInfo, Event, Scored, Variant, each_alone
from puna.engines.bodies import ACCEPTED
from puna.engines.strangers import first_bytes, lost
from puna.engines.timeouts import DEFAULTS, Timeouts
from puna.errors import EndpointError, InputError
from puna.generation import NO_EXTRAS, End, Extras, Finish, Prompt, Sampling, Segment, Timing, Usage
from puna.wire import strictjson

__all__ = ["RECEIPT", "Remote", "checked", "client", "lost", "with_receipt"]

RECEIPT = "x-puna-receipt"
"""The header in which an endpoint of puna's says where the receipt is."""

IDLE_SECONDS = 2.0
"""For which a connection is kept without a request."""

MAX_FACT = 500
"""Characters that are kept of a name, an id or a build that a server tells."""

MAX_RECEIPT = 2**20
"""Bytes of the receipt of another puna that are read; a longer one is left there."""

RECEIPT_SECONDS = 5.0
"""Longest wait for it: the answer is there."""

REACH_SECONDS = 1.5
"""Longest wait for the question whether a server is there at all."""


class Remote(ABC):
    """An engine that is the client of a server: without vocabulary, queue and process, which are the server's. url: its address."""

    pings = "ping"
    """What is asked for, below the address, to see whether the server is there."""

    def __init__(self, url: str, timeouts: Timeouts = DEFAULTS) -> None:
        self.url = url
        self.timeouts = timeouts
        self._http: httpx.AsyncClient | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a client; the server itself is asked by the first prompt."""
        return self._http is not None

    @property
    def state(self) -> str:
        """Ready, while there is a client."""
        return "ready" if self.ready else "stopped"

    @property
    def waiting(self) -> int:
        """None here: the queue is the server's."""
        return 0

    @property
    def restarts(self) -> int:
        """None: there is no process."""
        return 0

    @abstractmethod
    async def start(self) -> EngineInfo:
        """As in ``Engine``."""

    async def close(self) -> None:
        """Close the connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def reachable(self) -> bool:
        """Whether something answers at the address now, whatever it says but that it is away. Takes 1.5 s at most."""
        with suppress(httpx.HTTPError, TimeoutError, EndpointError):
            async with asyncio.timeout(REACH_SECONDS), self._client.stream("GET", self.pings) as answer:
                return answer.status_code not in {502, 503, 504}
        return False

    async def encode(self, segments: tuple[Segment, ...]) -> tuple[int, ...]:
        """The vocabulary is the server's; nothing here can count.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self.url} counts tokens itself; ask it, not its client ({len(segments)} segments)")

    @abstractmethod
    def stream(self, prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS) -> AsyncGenerator[Event, None]:
        """As in ``Engine``."""

    def together(self, prompt: Prompt, variants: Sequence[Variant]) -> Sequence[AsyncGenerator[Event, None]]:
        """Each alone: what the server shares is its own affair."""
        return each_alone(self, prompt, variants)

    async def score(self, ids: tuple[int, ...], top: int, start: int = 1) -> Scored:  # noqa: ARG002  # as in the protocol
        """The vocabulary is the server's; nothing here can score.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{self.url} cannot be asked to score {len(ids)} tokens through this client; score on the embedded engine"
        )

    @property
    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            raise EndpointError("the client was closed; start it first")
        return self._http


def checked(url: str) -> str:
    """An address without a slash at its end.

    Raises:
        InputError: it is none.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"--url must begin with http:// or https://, not {url[:80]!r}")
    try:
        parsed = httpx.URL(url)
        good = bool(parsed.host) and (parsed.port or 0) <= 65535
    except httpx.InvalidURL:
        good = False
    if not good:
        raise InputError(f"--url must be an address such as http://127.0.0.1:8080, not {url[:80]!r}")
    return url.rstrip("/")


def client(
    url: str,
    headers: Mapping[str, str] | None = None,
    timeouts: Timeouts = DEFAULTS,
    *,
    auth: httpx.Auth | None = None,
    verify: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """Connections to an address. A proxy of the environment is for addresses beyond this machine.

    verify: checks certificates; by default against the usual authorities, or those of SSL_CERT_FILE.

    Raises:
        InputError: these cannot be read.
    """
    loopback = httpx.URL(url).host in {"127.0.0.1", "localhost", "::1"}
    # Of bytes; how long an answer may take piece by piece is for ``timeouts.limited`` to say, which is never longer.
    timeout = httpx.Timeout(max(timeouts.first, timeouts.between), connect=timeouts.connect)
    # How many at a time is the caller's affair. uvicorn and llama.cpp's server close what was idle for 5 s: a connection that they are
    # closing must not be used again.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=IDLE_SECONDS)
    return httpx.AsyncClient(
        base_url=url,
        timeout=timeout,
        trust_env=not loopback,
        headers={**ACCEPTED, **(headers or {})},
        limits=limits,
        auth=auth,
        verify=verify or _usual(url),
    )


def _usual(url: str) -> ssl.SSLContext:
    if url.startswith("http://"):  # reading the authorities takes 20 ms
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise InputError(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read ({error}); name others, or none"
        ) from error


async def with_receipt(http: httpx.AsyncClient, answer: httpx.Response, end: End) -> End:
    """An end as the endpoint's receipt tells it, where it gives one."""
    path = answer.headers.get(RECEIPT, "")
    if not path.startswith("/") or path.startswith("//"):  # on that server, and no other
        return end
    # Whatever it sends, the answer is there.
    with suppress(httpx.HTTPError, httpx.InvalidURL, TimeoutError, EndpointError, KeyError, TypeError, ValueError):
        async with asyncio.timeout(RECEIPT_SECONDS), http.stream("GET", answer.url.join(path)) as told:
            if told.status_code == httpx.codes.OK:
                return _told(end, path, strictjson.loads(await first_bytes(told, MAX_RECEIPT)))
    return end


def _told(end: End, path: str, receipt: Any) -> End:
    """Raises KeyError, TypeError, ValueError: another shape than that of a receipt."""
    usage, seconds = receipt["usage"], receipt["seconds"]
    counts = [_count(usage[name]) for name in ("prompt", "cached", "output")] if usage else []
    stopped_by = receipt["stopped_by"]
    if not isinstance(stopped_by, str | None):
        raise TypeError
    return replace(
        end,
        finish=Finish(receipt["finish"]),
        usage=Usage(*counts) if counts else None,
        timing=Timing(*(_seconds(seconds[name]) for name in ("queue", "prefill", "decode"))),
        stopped_by=stopped_by,
        remote={**(end.remote or {}), "id": path.rpartition("/")[2], **receipt},
    )


def _count(told: object) -> int:
    if not isinstance(told, int) or isinstance(told, bool) or told < 0:
        raise ValueError
    return told


def _seconds(told: object) -> float:
    if not isinstance(told, int | float) or isinstance(told, bool) or not 0 <= told < math.inf:
        raise ValueError
    return told

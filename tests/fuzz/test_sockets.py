"""Requests that are broken as bytes, over a real socket: the server answers, refuses or waits for more, and lives on."""

from __future__ import annotations

import socket
import time
from random import Random

from tests.server.live import WAIT, Live

from . import pool
from .amount import INPUTS, SEED

GOOD = (
    b'POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{"prompt":"Hi"}',
    b'POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{"prompt":"Hi"}\r\n0\r\n\r\n',
    b"GET /health?a=b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"GET /v1/models/x%20y HTTP/1.0\r\n\r\n",
    b"POST /endpoints/llama-2-7b/invocations HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
)
PIECES = (
    b"\r\n",
    b"\n",
    b"\0",
    b" ",
    b"\xff",
    b":",
    b"HTTP/1.1",
    b"Content-Length: 9\r\n",
    b"Transfer-Encoding: x\r\n",
    b"-1",
    b"%",
    b"a" * 70_000,
)


def broken(rng: Random) -> bytes:
    data = bytearray(rng.choice(GOOD))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(data) + 1)
        if rng.random() < 0.6:
            data[at:at] = rng.choice(PIECES)
        else:
            del data[at : at + rng.randrange(1, 9)]
    return bytes(data) * rng.choice((1, 1, 1, 3))


def answer_to(live: Live, data: bytes) -> bytes:
    """What came within a moment; the client leaves then."""
    with live.connect() as sock:
        sock.settimeout(0.02)
        found = b""
        try:
            sock.sendall(data)
            while part := sock.recv(65536):
                found += part
        except (TimeoutError, ConnectionError):
            pass
        return found


def test_broken_requests_are_refused_and_the_server_lives_on() -> None:
    live = Live()
    try:
        for n in range(INPUTS // 80):
            data = broken(Random(f"sockets {SEED}:{n}"))
            found = answer_to(live, data)
            assert not found or found.startswith(b"HTTP/1.1 "), (data, found)
            assert b"HTTP/1.1 5" not in found, (data, found)
        began = time.monotonic()
        while live.service.running:
            assert time.monotonic() - began < WAIT
            time.sleep(0.01)
        assert live.http.get("/health").status_code == 200
        while not live.lines.empty():
            line = live.lines.get()
            assert not line.startswith("unexpected"), line
            assert line.isprintable()
    finally:
        live.close()


def test_many_requests_on_one_connection_are_answered_in_order() -> None:
    live = Live()
    try:
        names = [pool.sound(Random(n))[:5].encode().hex() for n in range(50)]
        data = b"".join(
            b"GET /v1/models/%d-%s HTTP/1.1\r\nHost: x\r\n\r\n" % (n, name.encode()) for n, name in enumerate(names)
        )
        found = b""
        with live.connect() as sock:
            sock.sendall(data)
            sock.settimeout(WAIT)
            while found.count(b"the model '") < len(names):
                found += sock.recv(65536)
            sock.shutdown(socket.SHUT_WR)
        places = [found.find(f"the model '{n}-{name}'".encode()) for n, name in enumerate(names)]
        assert places[0] > 0
        assert places == sorted(places)
    finally:
        live.close()

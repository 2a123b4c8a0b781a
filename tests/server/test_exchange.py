"""Clients that leave, bodies that are cut, heads that are odd, errors that nobody foresaw; on raw sockets."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from contextlib import suppress

import pytest
from starlette.types import Message

from puna.errors import EngineError
from puna.server.exchange import ClientGoneError, Exchange, until_gone

from .live import ENDPOINT, WAIT, Hold, Live

ROUTES = {
    "whole": f"/endpoints/{ENDPOINT}/invocations",
    "streamed": f"/endpoints/{ENDPOINT}/invocations-response-stream",
    "container": "/invocations",
    "container stream": "/invocations",
}


def request(route: str) -> bytes:
    body = b'{"prompt": "Hi", "stream": true}' if route == "container stream" else b'{"prompt": "Hi"}'
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (ROUTES[route].encode(), len(body), body)


def reset(sock: socket.socket) -> None:
    """Close with RST, as a killed process may."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["close", "reset"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("where", ["prepare", "before the first token", "between tokens"])
def test_a_client_that_leaves_frees_its_place(live: Live, leave: object, route: str, where: str) -> None:
    if where == "prepare":
        live.speaker.unprepared = Hold()
    else:
        live.speaker.script = [Hold()] if where == "before the first token" else ["a", "b", Hold()]
    with live.connect() as sock:
        sock.sendall(request(route))
        assert live.speaker.reached.wait(WAIT)
        assert not live.speaker.cleaned.is_set()
        assert callable(leave)
        leave(sock)
    assert live.speaker.cleaned.wait(WAIT), "the work went on without its client"
    line = live.log_of_one_that_left()[-1]
    begun = "stream" in route and where == "between tokens"
    assert f"{ROUTES[route]} {200 if begun else 499} client left " in line
    request_id = re.search(r"id=(\S+)", line)
    assert request_id
    receipt = live.http.get(f"/receipts/{request_id[1]}").json()
    assert receipt["error"] == "the client went away before its answer was complete"


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_that_is_cut_off_is_no_error_of_ours(live: Live, route: str) -> None:
    with live.connect() as sock:
        sock.sendall(request(route)[:-5])
    entries = live.log_of_one_that_left()
    assert " 499 client left " in entries[-1]
    assert not any("Traceback" in entry for entry in entries)
    assert live.speaker.asked == []


def test_a_chunked_body_that_is_cut_off(live: Live) -> None:
    with live.connect() as sock:
        sock.sendall(b'POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"pro\r\n')
    assert not any("Traceback" in entry for entry in live.log_of_one_that_left())


ODD = [
    (b"GET\r\n\r\n", b"400"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", b"400"),
    (b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
    (b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", b"400"),
    (b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    (
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"400",
    ),
    (b"GET /p\xc3\xa4th HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"40"),
    (b"GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),  # RFC 9112, 3.2: no Host
    (b"GET /ping HTTP/1.0\r\n\r\n", b"200"),
    (b"GET /ping HTTP/1.1\r\nHost: \xff\xfe\r\nX-Amz-Target: \xff\r\nConnection: close\r\n\r\n", b"200"),
    (b"POST /ping HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"405"),
    (b"GET /%0aX:%20y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
    (b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"400"),
]


@pytest.mark.parametrize(("data", "status"), ODD, ids=[str(n) for n in range(len(ODD))])
def test_odd_heads(live: Live, data: bytes, status: bytes) -> None:
    answer = live.raw(data)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"Traceback" not in answer
    response = live.http.get("/ping")
    assert response.status_code == 200
    live.log(response)
    assert not any("Traceback" in entry for entry in live.logged)


def test_one_connection_serves_one_request_after_another(live: Live) -> None:
    with live.connect() as sock:
        for _ in range(3):
            sock.sendall(request("streamed"))
            data = b""
            while not data.endswith(b"0\r\n\r\n"):
                data += sock.recv(65536)
            assert data.startswith(b"HTTP/1.1 200 ")


def test_the_log_line(live: Live) -> None:
    response = live.http.post(f"/endpoints/{ENDPOINT}/invocations", content=b'{"prompt": "Hi"}')
    (line,) = live.log(response)
    pattern = rf"POST /endpoints/{ENDPOINT}/invocations 200 translated llama2->smollm2 41\+4 tokens \d+\.\d\d s id=\S+"
    assert re.fullmatch(pattern, line)


def test_the_log_line_of_a_refusal_stays_one_line(live: Live) -> None:
    live.speaker.unprepared = EngineError("it\nbroke\r\nGET / 200 \x1b[2J" + "x" * 1000)
    (line,) = live.log(live.http.post("/invocations", content=b'{"prompt": "Hi"}'))
    assert "POST /invocations 500 it broke  GET / 200  [2Jxxx" in line
    assert len(line) < 400


def test_an_unforeseen_error_is_told_to_the_log_alone(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.speaker, "info", None)
    response = live.http.get("/health")
    assert response.status_code == 500
    assert response.headers["x-amzn-errortype"] == "InternalFailure"
    request_id = response.headers["x-amzn-requestid"]
    assert response.json() == {"Message": f"puna failed unexpectedly; its log says why, under the id {request_id}"}
    traceback, line = live.log(response)
    assert traceback.startswith(f"unexpected error, id={request_id}\nTraceback")
    assert line.startswith("GET /health 500 ")


def test_work_that_ends_with_its_answer_is_not_cancelled() -> None:
    """A server reports the end of a complete answer as a disconnect, too."""
    exchange = Exchange("id", "POST", "/", print, complete=True)
    done = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.append(True)

    asyncio.run(until_gone(exchange, receive, work()))
    assert done == [True]


def test_leaving_cancels_the_work_once_and_waits_for_its_cleanup() -> None:
    steps: list[str] = []

    async def receive() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for n in range(3):
                await asyncio.sleep(0)
                steps.append(f"cleanup {n}")

    with pytest.raises(ClientGoneError):
        asyncio.run(until_gone(Exchange("id", "POST", "/", print), receive, work()))
    assert steps == ["cleanup 0", "cleanup 1", "cleanup 2"]


@pytest.mark.parametrize("offer", [b"h2c", b"websocket", b"TLS/1.0"])
def test_an_offer_to_upgrade_is_passed_over_and_the_body_is_read(live: Live, offer: bytes) -> None:
    """Java's client offers h2c with every first request (RFC 9110, section 7.8)."""
    answer = live.raw(
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: "
        + offer
        + b"\r\n"
        b'HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 16\r\n\r\n{"prompt": "Hi"}'
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'{"outputs": ["Ein Lama' in answer


def test_a_head_without_end_is_refused(live: Live) -> None:
    with live.connect() as sock:
        sock.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000)
        received = b""
        with suppress(ConnectionResetError):  # for what was sent after the refusal
            while chunk := sock.recv(65536):
                received += chunk
    assert received.startswith(b"HTTP/1.1 4") or not received
    assert live.http.get("/ping").status_code == 200

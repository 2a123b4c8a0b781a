from __future__ import annotations

import pytest

from .live import ENDPOINT, Live

ROUTES = [
    ("GET", "/nothing", 404, "UnknownOperationException", "puna has no such route"),
    ("POST", f"/endpoints/{ENDPOINT}", 404, "UnknownOperationException", "POST /endpoints/NAME/invocations"),
    ("POST", f"/endpoints/{ENDPOINT}/invocation", 404, "UnknownOperationException", "puna has no such route"),
    ("POST", f"/endpoints/{ENDPOINT}/invocations/", 404, "UnknownOperationException", "puna has no such route"),
    ("POST", "/endpoints//invocations", 400, "ValidationError", "Value '' at 'endpointName'"),
    ("GET", f"/endpoints/{ENDPOINT}/invocations", 405, "MethodNotAllowedException", "allowed: POST"),
    ("PUT", f"/endpoints/{ENDPOINT}/invocations-response-stream", 405, "MethodNotAllowedException", "allowed: POST"),
    ("GET", "/", 405, "MethodNotAllowedException", "GET is not allowed here; allowed: POST"),
    ("DELETE", "/ping", 405, "MethodNotAllowedException", "GET"),
    ("POST", "/receipts/x", 405, "MethodNotAllowedException", "GET"),
    ("POST", f"/endpoints/{ENDPOINT}/async-invocations", 400, "ValidationError", "does not offer asynchronous inference"),
    ("POST", "/endpoints/other/async-invocations", 400, "ValidationError", "Endpoint other of account"),
    ("POST", f"/endpoints/{ENDPOINT}/invocations-bidirectional-stream", 400, "ValidationError", "bidirectional"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROUTES, ids=[f"{row[0]} {row[1]}" for row in ROUTES])
def test_what_is_answered_where_there_is_nothing(live: Live, row: tuple[str, str, int, str, str]) -> None:
    method, path, status, code, part = row
    response = live.http.request(method, path)
    assert response.status_code == status
    assert response.headers["x-amzn-errortype"] == code
    assert response.headers["content-type"] == "application/json"
    assert part in response.json()["Message"]
    assert len(live.log(response)) == 1
    assert ("allow" in response.headers) == (status == 405)


def test_head_is_answered_without_a_body(live: Live) -> None:
    response = live.http.head("/ping")
    assert (response.status_code, response.content) == (200, b"")


def test_a_web_socket_is_turned_away(live: Live) -> None:
    answer = live.raw(
        b"GET /invocations-bidirectional-stream HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 40")

from __future__ import annotations

import json

import pytest

from puna.errors import EngineBusyError, EngineError, EngineStoppedError

from .live import Live, Speaker


def test_ping_and_health(live: Live) -> None:
    ping = live.http.get("/ping")
    assert (ping.status_code, ping.content) == (200, b"")
    health = live.http.get("/health")
    assert health.status_code == 200
    assert health.json() == {
        "status": "ready",
        "endpoint": "llama-2-7b",
        "model": "stand-in",
        "engine": "stand-in-1",
        "context": 4096,
        "slots": 4,
        "restarts": 0,
        "dialect": "auto",
        "limits": {"invocation_seconds": 60, "stream_seconds": 480, "answer_length": "demand"},
    }


def test_an_engine_that_is_down_is_not_ready(live: Live) -> None:
    live.ready = False
    assert live.http.get("/ping").status_code == 503
    health = live.http.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "restarting")


def test_a_whole_answer(live: Live) -> None:
    response = live.http.post("/invocations", content=b'{"prompt": "Hi"}')
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-puna-prompt"] == "translated; from=llama2; to=smollm2"
    assert response.headers["x-puna-receipt"] == f"/receipts/{response.headers['x-amzn-requestid']}"
    assert response.json() == {"outputs": ["Ein Lama frißt."]}


def test_a_streamed_answer_is_plain_json_lines(live: Live) -> None:
    with live.http.stream("POST", "/invocations", content=b'{"prompt": "Hi", "stream": true}') as response:
        assert response.headers["content-type"] == "application/jsonlines"
        assert response.headers["transfer-encoding"] == "chunked"
        lines = list(response.iter_lines())
    assert [json.loads(line)["outputs"][0] for line in lines] == ["Ein", " Lama", " frißt", "."]


REFUSED = [
    (b"{not json", None, 400, "the body must be JSON"),
    (b"", None, 400, "the body is empty"),
    (b'{"prompt": "a", "x": 1}', None, 400, "unknown field 'x'"),
    (b'{"prompt": "a"}', EngineBusyError("all slots are busy"), 429, "all slots are busy"),
    (b'{"prompt": "a"}', EngineStoppedError("it is stopping"), 503, "it is stopping"),
    (b'{"prompt": "a", "stream": true}', EngineError("it broke"), 500, "it broke"),
    (b'{"prompt": "a"}', RuntimeError("secret"), 500, "puna failed unexpectedly"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "error", "status", "part"), REFUSED)
def test_errors_have_the_plain_status(live: Live, body: bytes, error: Exception | None, status: int, part: str) -> None:
    live.speaker.unprepared = error
    response = live.http.post("/invocations", content=body)
    assert (response.status_code, response.json()["code"]) == (status, status)
    assert part in response.json()["error"]
    assert "x-amzn-errortype" not in response.headers


def test_a_body_that_is_too_large(live: Live) -> None:
    response = live.http.post("/invocations", content=b" " * (6 * 1024 * 1024 + 1))
    assert response.status_code == 413
    assert response.json() == {"code": 413, "error": "HTTP content length exceeded 6291456 bytes."}


def test_a_stream_that_breaks_ends_with_a_line_of_another_shape(live: Live, speaker: Speaker) -> None:
    speaker.script = ["a", EngineError("it broke")]
    response = live.http.post("/invocations", content=b'{"prompt": "Hi", "stream": true}')
    assert response.status_code == 200
    assert response.content.endswith(b"\n")
    assert [json.loads(line) for line in response.text.splitlines()] == [
        {"outputs": ["a"]},
        {"code": 500, "error": "it broke"},
    ]

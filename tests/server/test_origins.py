"""Pages of other sites get nothing; programs, which have no page, are not asked."""

import pytest

from puna.server.auth import Token
from tests.server.live import Live

BODY = {"prompt": "Hello"}


@pytest.fixture(scope="module")
def live():
    server = Live()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def as_new(live):
    live.reset()


@pytest.mark.parametrize(
    "path", ["/invocations", "/v1/chat/completions", "/endpoints/llama-2-7b/invocations", "/api/generate", "/"]
)
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://evil.example:8080", "null", "http://127.0.0.1", "http://localhost:1", ""]
)
def test_a_foreign_page_is_refused_on_every_route(live, path, origin):
    answer = live.http.post(path, json=BODY, headers={"Origin": origin})
    assert answer.status_code == 403
    assert "may not use this endpoint" in answer.json()["Message"]
    assert live.speaker.asked == []


def test_a_name_that_points_here_is_no_own_page(live):
    """DNS rebinding: the browser holds it for the same origin."""
    headers = {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"}
    assert live.http.post("/v1/chat/completions", json=BODY, headers=headers).status_code == 403


def test_its_own_page_may_speak_and_so_may_programs(live):
    assert live.http.post("/invocations", json=BODY, headers={"Origin": live.url}).status_code == 200
    assert live.http.post("/invocations", json=BODY).status_code == 200
    assert live.http.post("/invocations", json=BODY, headers={"Host": "llama.internal"}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8080",
        "a@127.0.0.1",
        "",
        "127.0.0.1:port",
        "[::1",
    ],
)
@pytest.mark.parametrize("path", ["/api/info", "/static/app.js", "/"])
def test_what_browsers_ask_for_is_not_there_under_a_foreign_name(live, host, path):
    answer = live.raw(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.split()[1] in {b"403", b"400"}, answer  # 400: the HTTP parser itself refuses it


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "puna.localhost:80", "127.0.0.1:8080", "[::1]:8080", "192.168.1.5"]
)
def test_addresses_and_this_machines_names_are_known(live, host):
    answer = live.http.get("/api/info", headers={"Host": host})  # this server has no page, which is another matter
    assert answer.status_code == 404


def test_a_page_needs_no_token_but_what_it_asks_for_does():
    server = Live(proofs=(Token("secret"),))
    try:
        assert server.http.get("/static/app.js").status_code == 404
        refused = server.http.get("/api/info")
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "unauthorized"
        assert server.http.post("/static/app.js").status_code == 403
        assert server.http.get("/api/info", headers={"Authorization": "Bearer secret"}).status_code == 404
    finally:
        server.close()

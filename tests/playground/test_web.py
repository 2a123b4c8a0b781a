"""The page's routes as a browser or an attacker meets them: types, sizes, errors, streams, receipts."""

import json

import httpx
import pytest

from puna.errors import EngineBusyError, EngineLoadingError, EngineStoppedError
from puna.playground.web import MAX_BODY, STATIC

from .bench import assistant, text_of, user
from .served import Served

CHAT = {"messages": [user("Where is the llama?"), assistant("On the puna."), user("And now?")]}
POSTS = ["/api/anatomy", "/api/lint", "/api/generate", "/api/compare", "/api/export"]


def lines(answer: httpx.Response) -> list[dict]:
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def error_of(answer: httpx.Response) -> dict:
    return dict(answer.json()["error"])


@pytest.mark.parametrize("path", ["/", *(f"/static/{file.name}" for file in STATIC.iterdir())])
def test_the_page_and_all_its_parts_bear_the_policy(served, path):
    answer = served.http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == (
        "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert served.http.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    "path", ["/static/../web.py", "/static/%2e%2e/web.py", "/static/..%2fweb.py", "/static//etc/passwd", "/static/"]
)
def test_nothing_but_the_pages_own_files_is_served(served, path):
    assert served.http.get(path).status_code == 404


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonx"]
)
def test_posts_that_are_not_json_are_refused(served, path, kind):
    """Check 37: a page anywhere may send these without being asked for leave."""
    answer = served.http.post(path, content=json.dumps(CHAT), headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "application/json" in error_of(answer)["message"]
    assert served.engine.ledger.asked == []


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}])
def test_foreign_origins_and_hosts_are_refused(served, path, headers):
    """Check 37."""
    assert served.http.post(path, json=CHAT, headers=headers).status_code == 403
    assert served.http.put("/api/sessions/a", json={}, headers=headers).status_code == 403
    assert served.http.get("/api/info", headers=headers).status_code == 403
    assert served.engine.ledger.asked == []


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"7", b'{"messages": 7}', b'{"\\ud800": 1}', b'{"prompt": "\\ud800"}', b"\xff", b'{"a":NaN}'],
)
def test_bad_bodies_are_400_with_a_sentence(served, path, body):
    answer = served.http.post(path, content=body, headers={"Content-Type": "application/json; charset=utf-8"})
    assert answer.status_code == 400, answer.text
    assert len(error_of(answer)["message"]) > 20
    assert error_of(answer)["retryable"] is False


def test_too_large_a_body_is_413(served):
    answer = served.http.post(
        "/api/anatomy", content=b" " * (MAX_BODY + 1), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413


def test_over_the_window_is_400_with_the_figures(served):
    answer = served.http.post("/api/generate", json={**CHAT, "params": {"max_tokens": 4096}})
    assert answer.status_code == 400
    told = error_of(answer)
    assert told["code"] == "context_window"
    assert told["over"] == 4096 - told["fits_max_tokens"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (EngineLoadingError("the model is being loaded"), 503, "loading"),
        (EngineBusyError("every slot is taken"), 429, "busy"),
        (EngineStoppedError("the engine has ended"), 503, "stopped"),
    ],
)
def test_an_engine_that_cannot_answer_now_says_when_to_ask_again(served, error, status, code):
    served.engine.script.refuse = error
    answer = served.http.post("/api/generate", json=CHAT)
    assert answer.status_code == status
    assert error_of(answer) == {"code": code, "message": str(error), "retryable": True}
    assert answer.headers["retry-after"] == "1"


def test_while_the_model_loads_info_is_there_and_answers_are_503(serve):
    served = serve(loading=True)
    assert served.http.get("/api/info").json()["ready"] is False
    for path in ("/api/anatomy", "/api/generate"):
        answer = served.http.post(path, json=CHAT)
        assert (answer.status_code, error_of(answer)["code"]) == (503, "loading")
    served.load()
    assert served.http.get("/api/info").json()["ready"] is True
    assert served.http.post("/api/generate", json=CHAT).status_code == 200


def test_records_come_as_they_are_made(served):
    served.engine.script.hold = 3
    with served.http.stream("POST", "/api/generate", json=CHAT) as answer:
        found = answer.iter_lines()
        kinds = [json.loads(next(found))["type"] for _ in range(4)]
        assert kinds == ["start", "tok", "tok", "tok"]
        served.engine.release()
        assert json.loads([*found][-1])["type"] == "done"


def test_who_leaves_ends_the_generation(served):
    served.engine.script.hold = 3
    with served.http.stream("POST", "/api/generate", json=CHAT) as answer:
        next(answer.iter_lines())
    served.engine.ledger.until(lambda: served.engine.ledger.last.left)
    with served.http.stream("POST", "/api/compare", json={**CHAT, "panes": [{}, {}, {}]}) as answer:
        next(answer.iter_lines())
    served.engine.ledger.until(lambda: served.engine.ledger.running == 0)


def test_an_answer_has_its_receipt(served):
    records = lines(served.http.post("/api/generate", json={**CHAT, "params": {"seed": 5}}))
    receipt = served.http.get(records[0]["receipt"]).json()
    assert receipt["sampling"]["seed"] == 5
    assert receipt["usage"]["output"] == records[-1]["usage"]["output"]
    assert receipt["dialect"] == "playground"
    several = lines(served.http.post("/api/compare", json={**CHAT, "panes": [{}, {"temperature": 1.5}]}))
    receipt = served.http.get(next(r["receipt"] for r in several if r["type"] == "start")).json()
    assert len(receipt["choices"]) == 1


def test_who_leaves_leaves_a_receipt(served):
    served.engine.script.hold = 3
    with served.http.stream("POST", "/api/generate", json=CHAT) as answer:
        path = json.loads(next(answer.iter_lines()))["receipt"]
    served.engine.ledger.until(lambda: served.engine.ledger.last.left)
    receipt = served.http.get(path).json()
    assert receipt["error"] == "it was not told to its end"
    assert receipt["sampling"]["seed"] is not None


def test_a_failure_that_nobody_foresaw_is_told_by_an_id_only(served, monkeypatch):
    served.engine.script.refuse = RuntimeError("secret of the house")
    answer = served.http.post("/api/generate", json=CHAT)
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_an_exported_program_is_told(served):
    for target in ("curl", "boto3", "openai", "client", "notebook"):
        answer = served.http.post(
            "/api/export", json={**CHAT, "params": {"seed": 5}, "target": target, "title": "My chat"}
        )
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["target"] == target
        assert "And now?" in told["text"]
        assert served.url in told["text"]
    assert served.http.post("/api/export", json={**CHAT, "target": "cobol"}).status_code == 400


def test_an_exported_program_asks_the_last_question_and_goes_on_from_what_was_begun(served):
    answered = [*CHAT["messages"], assistant("It sleeps.")]
    body = {"params": {"seed": 5}, "target": "curl"}
    asks = served.http.post("/api/export", json={**body, "messages": answered}).json()["text"]
    assert "It sleeps." not in asks
    records = lines(served.http.post("/api/generate", json=CHAT))
    begun = [[record["id"], record["t"]] for record in records[1:3]]
    goes_on = served.http.post("/api/export", json={**body, **CHAT, "begun": begun}).json()["text"]
    assert all(str(token) in goes_on for token, _ in begun)


def test_the_page_is_there_without_a_token_and_its_routes_are_not(serve):
    served: Served = serve(token="secret")
    with httpx.Client(base_url=served.url, trust_env=False) as bare:
        assert bare.get("/").status_code == bare.get("/static/app.js").status_code == 200
        refused = bare.post("/api/generate", json=CHAT)
    assert (refused.status_code, error_of(refused)["code"]) == (401, "unauthorized")
    assert text_of(lines(served.http.post("/api/generate", json=CHAT)))

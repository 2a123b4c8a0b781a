from __future__ import annotations

from puna.errors import EngineError
from puna.server.receipts import Receipts

from .live import ENDPOINT, Hold, Live

STREAM = f"/endpoints/{ENDPOINT}/invocations-response-stream"


def test_an_answers_receipt(live: Live) -> None:
    response = live.http.post(STREAM, content=b'{"prompt": "Hi", "temperature": 0.1}')
    receipt = live.http.get(response.headers["x-puna-receipt"]).json()
    assert receipt["id"] == response.headers["x-amzn-requestid"]
    assert (receipt["endpoint"], receipt["status"], receipt["finish"]) == (ENDPOINT, 200, "stop")
    assert receipt["prompt"] == {
        "written": "translated",
        "source": "llama2",
        "format": "smollm2",
        "sha256": None,
        "ids_sha256": None,
        "findings": [],
        "dropped": [],
    }
    assert receipt["dialect"] == "workshop"
    assert receipt["limits"] == {
        "context": 4096, "invocation_seconds": 60, "stream_seconds": 480, "answer_length": "demand",
    }  # fmt: skip
    assert (receipt["sampling"]["temperature"], receipt["sampling"]["seed"]) == (0.1, 7)
    assert receipt["usage"] == {"prompt": 41, "cached": 0, "output": 4, "evaluated": 41}


def test_an_engine_that_does_not_tell_its_usage(live: Live) -> None:
    live.speaker.tells_usage = False
    response = live.http.post(STREAM, content=b'{"prompt": "Hi"}')
    assert live.http.get(response.headers["x-puna-receipt"]).json()["usage"] is None
    assert " 200 translated llama2->smollm2 0." in live.log(response)[-1]


def test_a_refusal_has_a_receipt_too(live: Live) -> None:
    response = live.http.post(STREAM, content=b"{}")
    receipt = live.http.get(response.headers["x-puna-receipt"]).json()
    assert receipt["status"] == 424
    assert "neither came" in receipt["error"]


def test_a_broken_stream_has_one_too(live: Live) -> None:
    live.speaker.script = ["a", EngineError("it broke")]
    response = live.http.post(STREAM, content=b'{"prompt": "Hi"}')
    receipt = live.http.get(response.headers["x-puna-receipt"]).json()
    assert receipt["sampling"]["seed"] == 7
    assert receipt == {
        "id": response.headers["x-amzn-requestid"],
        "endpoint": ENDPOINT,
        "dialect": "workshop",
        "faults": [],
        "limits": receipt["limits"],
        "status": 200,
        "error": "it broke",
        "sampling": receipt["sampling"],
        "told_prompts": False,
    }


def test_an_unknown_receipt_is_a_sentence(live: Live) -> None:
    response = live.http.get("/receipts/nothing")
    assert response.status_code == 404
    assert response.json()["Message"].startswith("there is no receipt of that id: the newest 1000 are kept")


def test_none_before_the_end(live: Live) -> None:
    live.speaker.script = ["a", Hold()]
    with live.http.stream("POST", STREAM, content=b'{"prompt": "Hi"}') as response:
        assert live.http.get(response.headers["x-puna-receipt"]).status_code == 404
    live.log_of_one_that_left()


def test_the_newest_are_kept() -> None:
    receipts = Receipts(kept=2)
    for n in range(4):
        receipts.put(str(n), {"n": n})
    assert [receipts.get(str(n)) for n in range(4)] == [None, None, {"n": 2}, {"n": 3}]

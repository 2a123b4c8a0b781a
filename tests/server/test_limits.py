"""What the user sets: limits of time, dialect, receipts, faults; and how each answer says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from puna.server.fault_plan import Fault
from puna.server.faults import Faults
from puna.server.invocations import Limits
from puna.wire import eventstream

from .live import ENDPOINT, WAIT, Hold, Live

WHOLE = f"/endpoints/{ENDPOINT}/invocations"
STREAM = f"{WHOLE}-response-stream"
BODY = {"prompt": "Hi"}


@contextmanager
def running(**setup: Any) -> Iterator[Live]:
    live = Live(**setup)
    try:
        yield live
    finally:
        live.close()


def last_frame(data: bytes) -> eventstream.Message:
    decoder = eventstream.Decoder()
    frames = list(decoder.feed(data))
    decoder.close()
    return frames[-1]


def test_an_answer_that_takes_too_long_is_the_services_time_out_and_frees_its_place() -> None:
    with running(limits=Limits(invocation=0.05, stream=0.2)) as live:
        for path in (WHOLE, STREAM):
            live.reset()
            live.speaker.script = [Hold()]
            answer = live.http.post(path, json=BODY)
            assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (424, "ModelError")
            assert answer.json()["OriginalStatusCode"] == 0
            assert answer.json()["Message"].startswith(
                'Received server error (0) from primary with message "Your invocation timed out while waiting for a response'
            )
            assert live.speaker.cleaned.wait(WAIT)


def test_a_stream_that_takes_too_long_ends_with_its_own_code_and_frees_its_place() -> None:
    with running(limits=Limits(invocation=5, stream=0.1)) as live:
        live.speaker.script = ["a", Hold()]
        answer = live.http.post(STREAM, json=BODY)
        assert answer.status_code == 200
        last = last_frame(answer.content)
        assert last.headers[":exception-type"] == "ModelStreamError"
        assert json.loads(last.payload) == {
            "Message": "Your model primary did not complete sending the inference response in the allotted time.",
            "ErrorCode": "ModelInvocationTimeExceeded",
        }
        assert live.speaker.cleaned.wait(WAIT)
        assert "allotted time" in live.http.get(answer.headers["x-puna-receipt"]).json()["error"]


@pytest.mark.parametrize("path", ["/invocations", "/v1/completions"])
def test_the_services_limits_of_time_are_not_the_containers(path: str) -> None:
    with running(limits=Limits(invocation=0.001, stream=0.001)) as live:
        assert live.http.post(path, json={**BODY, "stream": True}).status_code == 200


def test_one_dialect_for_all_bodies() -> None:
    with running(dialect="tgi") as live:
        answer = live.http.post(WHOLE, json={"inputs": "Hi"})
        assert answer.json() == [{"generated_text": "Ein Lama frißt."}]
        assert answer.headers["x-puna-dialect"] == "tgi"
        refused = live.http.post(WHOLE, json=BODY)
        assert refused.status_code == 424
        assert refused.json()["OriginalStatusCode"] == 422
        assert json.loads(refused.json()["OriginalMessage"])["error_type"] == "validation"
        plain = live.http.post("/invocations", json=BODY)
        assert (plain.status_code, plain.json()["error_type"]) == (422, "validation")
        assert live.http.post("/v1/completions", json=BODY).json()["object"] == "text_completion"


@pytest.mark.parametrize(("prompts", "more"), [(False, set()), (True, {"text", "ids"})])
def test_a_receipt_holds_the_prompt_only_where_that_is_allowed(prompts: bool, more: set[str]) -> None:
    with running(prompts=prompts) as live:
        live.speaker.remembers = True
        answer = live.http.post(WHOLE, json=BODY)
        told = live.http.get(answer.headers["x-puna-receipt"]).json()["prompt"]
        assert {"text", "ids"} & set(told) == more
        # sha256 of "a b", and of "1,2"
        assert told["sha256"] == "c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65"
        assert told["ids_sha256"] == "17f8af97ad4a7f7639a4c9171d5185cbafb85462877a4746c21bdb0a4f940ca0"
        if prompts:
            assert (told["text"], told["ids"]) == ("a b", [1, 2])


def test_a_fault_is_told_in_the_header_the_receipt_the_log_and_the_figures() -> None:
    faults = Faults([Fault("stream-broken", ("stream",), every=2)])
    with running(faults=faults) as live:
        untouched = live.http.post(STREAM, json=BODY)
        assert "x-puna-faults" not in untouched.headers
        struck = live.http.post(STREAM, json=BODY)
        assert struck.headers["x-puna-faults"] == "stream-broken"
        assert json.loads(last_frame(struck.content).payload)["ErrorCode"] == "StreamBroken"
        assert live.http.get(struck.headers["x-puna-receipt"]).json()["faults"] == ["stream-broken"]
        assert "faults: stream-broken; broken: " in live.log(struck)[-1]
        assert 'puna_faults_total{kind="stream-broken"} 1.0' in live.http.get("/metrics").text


def test_log_lines_for_programs() -> None:
    with running(structured=True) as live:
        answer = live.http.post(WHOLE, json=BODY)
        line = json.loads(live.lines.get(timeout=WAIT))
        assert line["id"] == answer.headers["x-amzn-requestid"]
        assert (line["method"], line["path"], line["route"], line["status"]) == ("POST", WHOLE, "invoke", 200)
        assert line["note"] == "translated llama2->smollm2 41+4 tokens"
        assert line["seconds"] > 0


def test_the_figures_are_those_of_the_answers() -> None:
    with running() as live:
        for _ in range(3):
            live.http.post(WHOLE, json=BODY)
        live.http.post(WHOLE, json={})
        text = live.http.get("/metrics").text
        for line in (
            'puna_requests_total{route="invoke",status="200"} 3.0',
            'puna_requests_total{route="invoke",status="424"} 1.0',
            "puna_prompt_tokens_total 123.0",
            "puna_output_tokens_total 12.0",
            "puna_time_to_first_token_seconds_count 3.0",
            "puna_between_tokens_seconds_count 9.0",
            "puna_slots 4.0",
            "puna_engine_ready 1.0",
            "puna_requests_running 0.0",
        ):
            assert f"{line}\n" in text, line


def test_nothing_new_is_taken_while_it_stops() -> None:
    with running() as live:
        live.service.draining = True
        answer = live.http.post(WHOLE, json=BODY)
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (503, "ServiceUnavailable")
        assert live.http.get("/ping").status_code == 503
        assert live.http.get("/health").json()["status"] == "stopping"
        chat = live.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hi"}]})
        assert (chat.status_code, chat.headers["retry-after"]) == (503, "1")

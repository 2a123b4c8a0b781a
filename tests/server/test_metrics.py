from __future__ import annotations

import asyncio
import timeit
from collections.abc import Mapping

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_text
from starlette.requests import Request
from starlette.responses import Response

from puna.generation import Finish, Receipt, Sampling, Timing, Usage, Written
from puna.server.metrics import Metrics


def receipt(usage: Usage | None, queue: float = 0.0) -> Receipt:
    return Receipt(Written.AS_IS, None, "raw", Sampling(), (), Finish.STOP, usage, Timing(queue=queue), "m", "e")


def shown(metrics: Metrics, accept: str = "", query: str = "") -> Response:
    headers = [(b"accept", accept.encode())] if accept else []
    scope = {"type": "http", "method": "GET", "path": "/metrics", "headers": headers, "query_string": query.encode()}
    return asyncio.run(metrics.show(Request(scope)))


def samples(metrics: Metrics) -> Mapping[tuple[str, tuple[str, ...]], float]:
    """Values by name and label values, by the labels' names, as a scraper reads them."""
    text = bytes(shown(metrics).body).decode()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in read_text(text)
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_status() -> None:
    metrics = Metrics()
    for status in (200, 200, 424):
        metrics.finished("invoke", status, 0.2)
    metrics.finished("stream", 200, 700)
    found = samples(metrics)
    assert found["puna_requests_total", ("invoke", "200")] == 2
    assert found["puna_requests_total", ("invoke", "424")] == 1
    assert found["puna_request_seconds_count", ("invoke",)] == 3
    assert found["puna_request_seconds_sum", ("stream",)] == 700
    assert found["puna_request_seconds_bucket", ("480.0", "stream")] == 0
    assert found["puna_request_seconds_bucket", ("+Inf", "stream")] == 1


def test_receipts_are_added_up() -> None:
    metrics = Metrics()
    metrics.receipt(receipt(Usage(prompt=41, cached=30, output=7), queue=0.3))
    metrics.receipt(receipt(Usage(prompt=9, cached=0, output=1)))
    metrics.receipt(receipt(None))
    found = samples(metrics)
    totals = {"prompt": 50, "cached": 30, "evaluated": 20, "output": 8}
    assert {name: found[f"puna_{name}_tokens_total", ()] for name in totals} == totals
    assert found["puna_queue_seconds_count", ()] == 3
    assert found["puna_queue_seconds_sum", ()] == 0.3


def test_texts_are_timed_and_faults_counted() -> None:
    metrics = Metrics()
    metrics.first_token(0.4)
    metrics.token_gap(0.02)
    metrics.token_gap(0.2)
    metrics.fault("throttle")
    found = samples(metrics)
    assert found["puna_time_to_first_token_seconds_bucket", ("0.25",)] == 0
    assert found["puna_time_to_first_token_seconds_bucket", ("0.5",)] == 1
    assert found["puna_between_tokens_seconds_bucket", ("0.02",)] == 1
    assert found["puna_between_tokens_seconds_count", ()] == 2
    assert found["puna_faults_total", ("throttle",)] == 1


def test_gauges_are_asked_at_each_scrape_and_never_made_up() -> None:
    metrics = Metrics()
    assert not any(name.startswith(("puna_slots", "puna_engine")) for name, _ in samples(metrics))
    state: dict[str, float] = {"running": 1}
    metrics.watch(
        running=lambda: state["running"], waiting=lambda: 2, slots=lambda: 4, ready=lambda: True, restarts=lambda: 3
    )
    found = samples(metrics)
    assert found["puna_requests_running", ()] == 1
    assert found["puna_requests_waiting", ()] == 2
    assert found["puna_slots", ()] == 4
    assert found["puna_engine_ready", ()] == 1
    assert found["puna_engine_restarts_total", ()] == 3
    state["running"] = 0
    assert samples(metrics)["puna_requests_running", ()] == 0


def test_two_endpoints_in_one_process_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.finished("invoke", 200, 0.1)
    assert ("puna_requests_total", ("invoke", "200")) in samples(one)
    assert ("puna_requests_total", ("invoke", "200")) not in samples(other)


def test_the_format_is_the_scrapers_choice() -> None:
    metrics = Metrics()
    metrics.watch(restarts=lambda: 1)
    metrics.finished("invoke", 200, 0.1)
    plain = shown(metrics)
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# HELP puna_requests_total Requests by route" in bytes(plain.body)
    assert b"python_info" in bytes(plain.body)
    opened = shown(metrics, "application/openmetrics-text; version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    assert opened.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in read_open(bytes(opened.body).decode())}
    assert families["puna_engine_restarts"].type == "counter"


def test_series_can_be_picked() -> None:
    metrics = Metrics()
    metrics.watch(slots=lambda: 4, restarts=lambda: 1)
    body = bytes(shown(metrics, query="name[]=puna_slots&name[]=puna_output_tokens_total").body).decode()
    lines = [line for line in body.splitlines() if not line.startswith("#")]
    assert sorted(lines) == ["puna_output_tokens_total 0.0", "puna_slots 4.0"]


@pytest.mark.parametrize("seconds", [0.001, 10.0])
def test_a_token_costs_next_to_nothing(seconds: float) -> None:
    """0.7 to 1.1 us on a quiet machine; the limit is wide for a busy one."""
    gap = Metrics().token_gap
    assert min(timeit.repeat(lambda: gap(seconds), number=2000, repeat=5)) / 2000 < 20e-6

"""Figures for Prometheus: what was asked, what it cost, how long it took, how it stands. Knows no request and no engine.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text 0.0.4, or OpenMetrics by ``Accept``), written by
prometheus_client (tried with 0.26.0); names and units by https://prometheus.io/docs/practices/naming/. Both read
2026-11-22. The registry is an object's own: two endpoints in one process share nothing.

An observation of a histogram costs 0.7 to 1.1 us (0.26.0, Python 3.11, one core of a 2-core machine, 2026-11-22), so
nothing is counted by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from puna.generation import Receipt

_WAITS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds: from at once to SageMaker's limit for an answer."""

_GAPS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)
"""Seconds: from 500 tokens a second to none for a while."""

_REQUESTS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 240, 480)
"""Seconds: up to the longest stream."""


@dataclass(frozen=True, slots=True)
class _Gauge:
    name: str
    text: str
    kind: type[CounterMetricFamily | GaugeMetricFamily] = GaugeMetricFamily


_GAUGES = {
    "running": _Gauge(
        "puna_requests_running", "Requests that were accepted and have not ended, those that wait for a slot too."
    ),
    "waiting": _Gauge("puna_requests_waiting", "Answers that wait for a slot."),
    "slots": _Gauge("puna_slots", "Answers that can be made at a time."),
    "ready": _Gauge("puna_engine_ready", "1 when the engine can answer, else 0."),
    "restarts": _Gauge("puna_engine_restarts", "Restarts of the engine's process.", CounterMetricFamily),
}


Source = Callable[[], float | None]
"""None where nobody knows."""


class _Watched(Collector):
    """What is asked for when it is scraped."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}

    def describe(self) -> Iterable[Metric]:
        """All that there may be, by which the registry finds single series."""
        return [gauge.kind(gauge.name, gauge.text) for gauge in _GAUGES.values()]

    def collect(self) -> Iterator[Metric]:
        """What there is."""
        for key, source in self.sources.items():
            gauge, value = _GAUGES[key], source()
            if value is not None:
                yield gauge.kind(gauge.name, gauge.text, value=float(value))


class Metrics:
    """The figures of one endpoint. Seconds and tokens everywhere; labels are words of small sets, never what a client sent."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._watched = _Watched()
        registry.register(self._watched)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"puna_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"puna_{name}_seconds", text, labels, buckets=buckets, registry=registry)

        self._requests = counter(
            "requests",
            "Requests by route and HTTP status; 499: the client left before the answer began.",
            "route",
            "status",
        )
        self._prompt = counter("prompt_tokens", "Tokens of prompts, of answers that were completed.")
        self._cached = counter("cached_tokens", "Tokens of prompts that came from the KV cache.")
        self._evaluated = counter("evaluated_tokens", "Tokens of prompts that the engine computed.")
        self._output = counter("output_tokens", "Tokens that the model made for answers that were completed.")
        self._faults = counter("faults", "Faults that were injected, by kind.", "kind")
        self._seconds = histogram("request", "From a request's first byte to its answer's last.", _REQUESTS, "route")
        self._queue = histogram("queue", "Waited for a slot, of answers that were completed.", _WAITS)
        self._first = histogram("time_to_first_token", "From a request's first byte to the first text.", _WAITS)
        self._gap = histogram("between_tokens", "From one text of an answer to the next.", _GAPS)

    def watch(
        self,
        *,
        running: Source | None = None,
        waiting: Source | None = None,
        slots: Source | None = None,
        ready: Source | None = None,
        restarts: Source | None = None,
    ) -> None:
        """What to ask at each scrape. What has no source is not shown: a made-up 0 would be believed."""
        given = {"running": running, "waiting": waiting, "slots": slots, "ready": ready, "restarts": restarts}
        self._watched.sources.update({name: source for name, source in given.items() if source is not None})

    def finished(self, route: str, status: int, seconds: float) -> None:
        """A request has ended. route: the kind of its route, not its path."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def receipt(self, receipt: Receipt) -> None:
        """What an answer cost; no tokens where a remote endpoint does not tell."""
        self._queue.observe(receipt.timing.queue)
        if usage := receipt.usage:
            self._prompt.inc(usage.prompt)
            self._cached.inc(usage.cached)
            self._evaluated.inc(usage.evaluated)
            self._output.inc(usage.output)

    def first_token(self, seconds: float) -> None:
        """The first text of an answer came."""
        self._first.observe(seconds)

    def token_gap(self, seconds: float) -> None:
        """The next text of an answer came."""
        self._gap.observe(seconds)

    def fault(self, kind: str) -> None:
        """A fault struck. kind: a name of the table of faults."""
        self._faults.labels(kind).inc()

    async def show(self, request: Request) -> Response:
        """``GET /metrics``; ``?name[]=`` picks series, as Prometheus' own clients have it."""
        names = request.query_params.getlist("name[]")
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        shown = encode(self.registry.restricted_registry(names) if names else self.registry)
        # By hand: Starlette would add a second charset to a media type that says text/.
        return Response(shown, headers={"content-type": media_type})

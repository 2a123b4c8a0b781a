"""What each replica keeps for itself, asked of all of them: receipts and figures. Knows how to merge; not how they are asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from puna.server import aws
from puna.server.invocations import Service

AskAll = Callable[..., Awaitable[Sequence[object]]]
"""A method's name and its arguments -> what the replicas answer that do."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A replica's series as they stand. replica: its name."""

    replica: str
    metrics: Sequence[Metric]


class Gathered:
    """``/receipts/{id}`` and ``/metrics`` of all replicas, whichever is asked."""

    def __init__(self, service: Service, ask: AskAll) -> None:
        self._service = service
        self._ask = ask

    def put_before(self, app: Starlette) -> None:
        """In the place of the routes that know of one replica; inside its guards."""
        app.router.routes[:0] = [Route("/receipts/{id}", self.receipt), Route("/metrics", self.metrics)]

    async def receipt(self, request: Request) -> Response:
        """``GET /receipts/{id}``: this replica's, else whosever it is."""
        named = request.path_params["id"]
        if self._service.receipts.get(named) is None:
            for found in await self._ask("receipt", named):
                if isinstance(found, Mapping):
                    return Response(aws.to_json(found), media_type="application/json")
        return await self._service.receipts.show(request)

    async def metrics(self, request: Request) -> Response:
        """``GET /metrics``: every series with the label ``replica``."""
        names = request.query_params.getlist("name[]")
        answers = [found for found in await self._ask("figures", names) if isinstance(found, Figures)]
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Fixed(merged(answers)))
        return Response(encode(registry), headers={"content-type": media_type})


def merged(answers: Iterable[Figures]) -> list[Metric]:
    """One family for all replicas' series of a name."""
    families: dict[str, Metric] = {}
    count = 0
    for answer in answers:
        count += 1
        for metric in answer.metrics:
            family = families.setdefault(
                metric.name, Metric(metric.name, metric.documentation, metric.type, metric.unit)
            )
            labelled = (
                sample._replace(labels={**sample.labels, "replica": answer.replica}) for sample in metric.samples
            )
            family.samples.extend(labelled)
    told = GaugeMetricFamily("puna_replicas", "Replicas that told their figures.", value=count)
    return [*families.values(), told]


class _Fixed(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """What was gathered."""
        return iter(self._metrics)

"""The endpoint as one ASGI app: its routes, and what is answered where there is none. Knows no engine and no socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from puna.server import aws, sagemaker
from puna.server.answers import Speaker
from puna.server.auth import Guard, Proof
from puna.server.container import Container, Health
from puna.server.controlplane import ControlPlane
from puna.server.exchange import Exchange, Exchanges, Log
from puna.server.faults import Faults
from puna.server.headers import NotOffered
from puna.server.invocations import Invocations, Limits, Service
from puna.server.metrics import Metrics
from puna.server.openai import Completions, Models, error_response
from puna.server.openapi import document
from puna.server.origins import Origins
from puna.server.receipts import Receipts
from puna.server.upstream import Reach
from puna.wire import dialects


class _Anything(PathConvertor):
    """Any text, slashes and line breaks too: a name that was percent-encoded must reach the check of names."""

    regex = r"[\s\S]*"


register_url_convertor("anything", _Anything())


def _no_log(_: str) -> None:
    return


def _always() -> str:
    return "ready"


def _none() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Setup:
    """How an endpoint is run. log: gets a line per request; structured: as JSON. state: a word of ``container.STATUS``.

    waiting: requests without a slot. restarts: of the engine's process, so far. dialect: of bodies to the SageMaker routes. streams: whether
    ``/invocations`` streams where a request does not say. prompts: whether receipts hold the
    prompt's text and ids. deploys: whether callers may create endpoints. proofs: one of which a request must bear; none means that the endpoint is open. reach: asks whether the server
    that the engine is the client of is there, and never raises; None for an engine that is none.
    """

    log: Log = _no_log
    structured: bool = False
    state: Callable[[], str] = _always
    waiting: Callable[[], int] = _none
    restarts: Callable[[], int] = _none
    dialect: str = dialects.AUTO
    streams: bool = False
    limits: Limits = field(default_factory=Limits)
    faults: Faults = field(default_factory=Faults)
    prompts: bool = False
    deploys: bool = True
    proofs: tuple[Proof, ...] = ()
    reach: Callable[[], Awaitable[bool]] | None = None


def create_app(speaker: Speaker, endpoint: str, setup: Setup | None = None) -> Starlette:
    """The app. endpoint: its name. Its ``state.service`` is what a caller may ask to drain."""
    setup = setup or Setup()
    metrics = Metrics()
    service = Service(
        speaker, endpoint, Receipts(), metrics, setup.dialect, setup.limits, setup.faults, prompts=setup.prompts
    )
    service.deployments.open = setup.deploys

    def finished(exchange: Exchange) -> None:
        metrics.finished(exchange.route, exchange.status, exchange.seconds)

    health = Health(service, setup.state, setup.restarts, None if setup.reach is None else Reach(setup.reach))
    metrics.watch(
        running=lambda: service.running,
        waiting=setup.waiting,
        slots=lambda: speaker.info.slots or None,
        ready=lambda: health.word() == "ready",
        restarts=setup.restarts,
    )
    app = Starlette(
        routes=_routes(service, health, streams=setup.streams),
        middleware=[
            Middleware(Exchanges, log=setup.log, structured=setup.structured, finished=finished),
            Middleware(Origins),
            *([Middleware(Guard, proofs=setup.proofs)] if setup.proofs else []),
        ],
        exception_handlers={HTTPException: _no_such_route},
    )
    app.state.service = service
    # A redirect would make clients of a mistyped route send their request twice, unsigned.
    app.router.redirect_slashes = False
    return app


def _routes(service: Service, health: Health, *, streams: bool) -> list[BaseRoute]:
    endpoint, post = "/endpoints/{name:anything}", ["POST"]
    models = Models(service)
    plane = ControlPlane(service.endpoint, health.word, datetime.now(UTC), service.deployments)
    chat, completion = Completions("chat"), Completions("completion")
    scoped_chat, scoped_completion = Completions("chat", scoped=True), Completions("completion", scoped=True)
    return [
        Route(f"{endpoint}/invocations", Invocations(service, sagemaker.Whole()), methods=post),
        Route(f"{endpoint}/invocations-response-stream", Invocations(service, sagemaker.Streamed()), methods=post),
        Route(f"{endpoint}/async-invocations", NotOffered("async", service.named), methods=post),
        Route(f"{endpoint}/invocations-bidirectional-stream", NotOffered("bidirectional", service.named), methods=post),
        Route(f"{endpoint}/inference-components/{{component:anything}}", models.no_components, methods=post),
        Route(f"{endpoint}/openai/v1/chat/completions", Invocations(service, scoped_chat), methods=post),
        Route(f"{endpoint}/openai/v1/completions", Invocations(service, scoped_completion), methods=post),
        Route("/v1/chat/completions", Invocations(service, chat), methods=post),
        Route("/v1/completions", Invocations(service, completion), methods=post),
        Route("/v1/models", models.every),
        Route("/v1/models/{id:path}", models.one),
        Route("/tokenize", models.tokenize, methods=post),
        Route("/detokenize", models.detokenize, methods=post),
        Route("/invocations", Invocations(service, Container(streams=streams)), methods=post),
        Route("/ping", health.ping),
        Route("/health", health.health),
        Route("/metrics", service.metrics.show),
        Route("/receipts/{id}", service.receipts.show),
        Route("/openapi.json", document),
        Route("/", plane, methods=post),
    ]


async def _no_such_route(request: Request, error: Exception) -> Response:
    """404 and 405, in the shape that SDKs read."""
    allowed = (getattr(error, "headers", None) or {}).get("Allow", "")
    if isinstance(error, HTTPException) and error.status_code == 405:
        status, code = 405, "MethodNotAllowedException"
        sentence = f"{request.method} is not allowed here; allowed: {allowed}"
    else:
        status, code = 404, "UnknownOperationException"
        sentence = (
            "puna has no such route; an endpoint is called by POST /endpoints/NAME/invocations or "
            ".../invocations-response-stream, or as an OpenAI API below /v1"
        )
    headers = {"Allow": allowed} if allowed else {}
    path = request.scope["path"]
    if path.startswith("/v1/") or "/openai/" in path:
        return error_response(status, sentence, headers)
    return aws.error(status, code, sentence, headers=headers)

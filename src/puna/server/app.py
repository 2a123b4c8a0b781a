"""The endpoint as one ASGI app: its routes, and what is answered where there is none. Knows no engine and no socket."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from puna.server import aws, sagemaker
from puna.server.answers import Speaker
from puna.server.container import Container, Health
from puna.server.controlplane import ControlPlane
from puna.server.exchange import Exchanges, Log
from puna.server.invocations import Invocations, Service
from puna.server.receipts import Receipts


class _Anything(PathConvertor):
    """Any text, slashes and line breaks too: a name that was percent-encoded must reach the check of names."""

    regex = r"[\s\S]*"


register_url_convertor("anything", _Anything())


def _no_log(_: str) -> None:
    return


def _always() -> bool:
    return True


def create_app(
    speaker: Speaker, endpoint: str, *, log: Log = _no_log, ready: Callable[[], bool] = _always
) -> Starlette:
    """The app. endpoint: its name. log: gets one line per request. ready: whether the engine can answer now."""
    service = Service(speaker, endpoint, Receipts())
    app = Starlette(
        routes=_routes(service, Health(service, ready)),
        middleware=[Middleware(Exchanges, log=log)],
        exception_handlers={HTTPException: _no_such_route},
    )
    # A redirect would make clients of a mistyped route send their request twice, unsigned.
    app.router.redirect_slashes = False
    return app


def _routes(service: Service, health: Health) -> list[BaseRoute]:
    endpoint, post = "/endpoints/{name:anything}", ["POST"]
    return [
        Route(f"{endpoint}/invocations", Invocations(service, sagemaker.Whole()), methods=post),
        Route(f"{endpoint}/invocations-response-stream", Invocations(service, sagemaker.Streamed()), methods=post),
        Route(f"{endpoint}/async-invocations", sagemaker.NoAsync(), methods=post),
        Route("/invocations", Invocations(service, Container()), methods=post),
        Route("/ping", health.ping),
        Route("/health", health.health),
        Route("/receipts/{id}", service.receipts.show),
        Route("/", ControlPlane(), methods=post),
    ]


async def _no_such_route(request: Request, error: Exception) -> Response:
    """404 and 405, in the shape that SDKs read."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        sentence = f"{request.method} is not allowed here; allowed: {allowed}"
        return aws.error(405, "MethodNotAllowedException", sentence, headers={"Allow": allowed})
    sentence = "puna has no such route; an endpoint is called by POST /endpoints/NAME/invocations or .../invocations-response-stream"
    return aws.error(404, "UnknownOperationException", sentence)

"""schemathesis on the served OpenAPI document: what it allows and what it forbids, at every route that it names."""

from __future__ import annotations

import asyncio

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from puna.server.app import create_app

from .amount import LONG
from .asking import ENDPOINT, spine_of
from .fields import answer

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance,
]  # fmt: skip

SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", create_app(asyncio.run(spine_of(answer)), ENDPOINT))
OPERATIONS = {operation.label: operation for operation in (result.ok() for result in SCHEMA.get_all_operations())}

PLAIN = {"GET /v1/models", "GET /v1/models/{id}", "GET /ping", "GET /health", "GET /metrics", "GET /receipts/{id}"}
"""Nothing can be asked wrongly there."""


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"])
@pytest.mark.parametrize("label", OPERATIONS)
def test_the_document_is_kept_to(label: str, mode: GenerationMode) -> None:
    if mode is GenerationMode.NEGATIVE and label in PLAIN:
        pytest.skip("nothing can be asked wrongly there")

    @settings(
        max_examples=1000 if LONG else 12, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(OPERATIONS[label].as_strategy(generation_mode=mode))
    def holds(case: Case) -> None:
        if "name" in case.path_parameters:
            case.path_parameters["name"] = ENDPOINT  # another one is refused before the body is read
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        if mode is GenerationMode.NEGATIVE:
            assert response.status_code != 200, case.body

    holds()


def test_every_route_but_aws_own_is_in_the_document() -> None:
    app = create_app(asyncio.run(spine_of()), ENDPOINT)
    served = {getattr(route, "path", "").replace(":anything", "").replace(":path", "") for route in app.routes}
    named = {label.partition(" ")[2] for label in OPERATIONS}
    refused = {
        "/endpoints/{name}/async-invocations",
        "/endpoints/{name}/invocations-bidirectional-stream",
        "/endpoints/{name}/inference-components/{component}",
    }
    assert served - named == {*refused, "/", "/openapi.json"}

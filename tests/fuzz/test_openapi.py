"""schemathesis on the served OpenAPI document: what it allows and what it forbids, at every route that it names."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
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
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)}

CASES = [
    *((label, GenerationMode.POSITIVE) for label in OPERATIONS),
    *(
        (label, GenerationMode.NEGATIVE) for label in OPERATIONS if label.startswith("POST")
    ),  # a GET cannot be asked wrongly
]


@pytest.mark.parametrize(("label", "mode"), CASES, ids=lambda value: getattr(value, "value", value))
def test_the_document_is_kept_to(label: str, mode: GenerationMode) -> None:
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=1000 if LONG else 12, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(OPERATIONS[label].as_strategy(generation_mode=mode))
    def holds(case: Case) -> None:
        if "name" in case.path_parameters:
            case.path_parameters["name"] = ENDPOINT  # another one is refused before the body is read
        response = case.call()
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        if mode is GenerationMode.NEGATIVE:
            assert response.status_code != 200, case.body

    holds()
    if mode is GenerationMode.POSITIVE and "{id}" not in label:
        assert statuses[200], "nothing that the document allows was answered"


def test_every_route_but_aws_own_is_in_the_document() -> None:
    app = create_app(asyncio.run(spine_of(answer)), ENDPOINT)
    served = {getattr(route, "path", "").replace(":anything", "").replace(":path", "") for route in app.routes}
    named = {label.partition(" ")[2] for label in OPERATIONS}
    refused = {
        "/endpoints/{name}/async-invocations",
        "/endpoints/{name}/invocations-bidirectional-stream",
        "/endpoints/{name}/inference-components/{component}",
    }
    assert served - named == {*refused, "/", "/openapi.json"}

"""Broken constraints are told in AWS's words, wrong types in puna's; nothing that comes makes it stumble."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.server.control_inputs import INPUTS
from puna.server.shapes import ControlError, members_of

CONTAINER = {"Image": "i"}
VARIANT = {"VariantName": "a", "ModelName": "m", "InstanceType": "ml.m5.large"}


@pytest.mark.parametrize(
    ("operation", "value", "part"),
    [
        ("CreateModel", {}, "Value null at 'modelName' failed to satisfy constraint: Member must not be null"),
        (
            "CreateModel",
            {"ModelName": "a_b"},
            "Value 'a_b' at 'modelName' failed to satisfy constraint: Member must satisfy reg",
        ),
        (
            "CreateModel",
            {"ModelName": "m", "PrimaryContainer": {"Image": "a b"}},
            "1 validation error detected: Value 'a b' at 'primaryContainer.image' failed to satisfy constraint: Member must satisfy",
        ),
        (
            "CreateModel",
            {"ModelName": "m", "Containers": [CONTAINER, {"ModelDataUrl": "here"}]},
            "Value 'here' at 'containers.2.member.modelDataUrl' failed",
        ),
        (
            "CreateModel",
            {"ModelName": "m", "PrimaryContainer": {"Environment": {"A B": "x"}}},
            "at 'primaryContainer.environment.key'",
        ),
        (
            "CreateModel",
            {"ModelName": "m", "PrimaryContainer": {"Environment": {"A": "x" * 1025}}},
            "at 'primaryContainer.environment.A.value' failed to satisfy constraint: Member must have length less than or equal to 1024",
        ),
        (
            "CreateModel",
            {"ModelName": "m", "PrimaryContainer": {"Environment": {f"A{n}": "" for n in range(101)}}},
            "Value '101 entries' at 'primaryContainer.environment' failed to satisfy constraint: Member must have length less",
        ),
        (
            "CreateModel",
            {"ModelName": "m", "PrimaryContainer": {"Mode": "Many"}},
            "enum value set: [SingleModel, MultiModel]",
        ),
        ("CreateModel", {"ModelName": "m", "ExecutionRoleArn": "x"}, "length greater than or equal to 20"),
        ("CreateModel", {"ModelName": "m", "Tags": [{"Key": "a"}]}, "Value null at 'tags.1.member.value'"),
        (
            "CreateEndpointConfig",
            {"EndpointConfigName": "c", "ProductionVariants": []},
            "length greater than or equal to 1",
        ),
        (
            "CreateEndpointConfig",
            {"EndpointConfigName": "c", "ProductionVariants": [{**VARIANT, "InitialInstanceCount": 0}]},
            "Value '0' at 'productionVariants.1.member.initialInstanceCount' failed to satisfy constraint: Member must have value gr",
        ),
        (
            "CreateEndpointConfig",
            {"EndpointConfigName": "c", "ProductionVariants": [{**VARIANT, "InitialInstanceCount": -(10**400)}]},
            "Value 'too large to tell' at",
        ),
        (
            "CreateEndpointConfig",
            {"EndpointConfigName": "c", "ProductionVariants": [{**VARIANT, "InstanceType": "large"}]},
            "at 'productionVariants.1.member.instanceType' failed",
        ),
    ],
)
def test_a_broken_constraint_is_told_as_aws_tells_it(operation: str, value: object, part: str) -> None:
    with pytest.raises(ControlError) as caught:
        members_of(operation, INPUTS[operation], json.dumps(value).encode())
    assert caught.value.code == "ValidationException"
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("operation", "value", "part"),
    [
        ("CreateModel", {"ModelName": 3}, "ModelName must be text"),
        ("CreateModel", {"ModelName": "m", "PrimaryContainer": []}, "PrimaryContainer must be a JSON object"),
        (
            "CreateModel",
            {"ModelName": "m", "PrimaryContainer": {"Environment": {"A": 1}}},
            "environment.A.value must be text",
        ),
        (
            "CreateModel",
            {"ModelName": "m", "PrimaryContainer": {"Picture": "x"}},
            "primaryContainer has no member Picture; its members:",
        ),
        (
            "CreateModel",
            {"ModelName": "m", "EnableNetworkIsolation": 1},
            "EnableNetworkIsolation must be true or false",
        ),
        ("CreateModel", {"ModelName": "m", "Tags": {}}, "Tags must be a list"),
        (
            "CreateEndpointConfig",
            {"EndpointConfigName": "c", "ProductionVariants": [{**VARIANT, "InitialVariantWeight": "1"}]},
            "InitialVariantWeight must be a number",
        ),
    ],
)
def test_a_wrong_type_is_no_constraint(operation: str, value: object, part: str) -> None:
    with pytest.raises(ControlError) as caught:
        members_of(operation, INPUTS[operation], json.dumps(value).encode())
    assert caught.value.code == "SerializationException"
    assert part in str(caught.value)


names = st.sampled_from(
    sorted({name for shape in INPUTS.values() for name in (*shape.of, "Image", "Environment", "VariantName")})
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(sorted(INPUTS)), anything)
def test_any_json_is_taken_or_refused(operation: str, value: object) -> None:
    try:
        members_of(operation, INPUTS[operation], json.dumps(value).encode())
    except ControlError as error:
        assert len(str(error)) < 20_000
        str(error).encode("utf-8", "backslashreplace")

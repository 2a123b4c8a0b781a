"""The table of what the control plane takes, held to the service model of the botocore that is installed."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from puna.server.control_inputs import INPUTS, NOT_OFFERED
from puna.server.shapes import Flag, Items, Kept, Members, Number, Pairs, Shape, Text

MODEL: Any = botocore.session.get_session().get_service_model("sagemaker")
TYPES = {
    Text: "string",
    Number: "integer",
    Flag: "boolean",
    Kept: "structure",
    Members: "structure",
    Items: "list",
    Pairs: "map",
}
LOOSER = {"Key", "Value", "ModelPackageName", "InstanceType", "AcceleratorType", "InferenceAmiVersion", "NextToken"}
"""Members whose pattern or values are not the model's, and why: ``control_inputs``."""


def compare(name: str, ours: Shape, theirs: Any) -> None:
    kind = TYPES[type(ours)]
    if isinstance(ours, Number) and ours.real:
        assert theirs.type_name in {"timestamp", "float"}, name
    elif isinstance(ours, Kept) and name == "ExcludeRetainedVariantProperties":
        pass
    else:
        assert theirs.type_name == kind, name
    meta = theirs.metadata
    if isinstance(ours, Text):
        assert ours.longest in {None, meta.get("max")} or name in LOOSER, name
        assert ours.shortest == meta.get("min", 0), name
        if name not in LOOSER and ours.values is None:
            assert ours.pattern in {meta.get("pattern"), r"[\s\S]*"}, name
        assert set(ours.values or ()) <= set(theirs.enum), name
    elif isinstance(ours, Number):
        assert (ours.least, ours.most) == (meta.get("min"), meta.get("max")), name
    elif isinstance(ours, Items):
        assert (ours.fewest, ours.most) == (meta.get("min", 0), meta["max"]), name
        compare(name, ours.of, theirs.member)
    elif isinstance(ours, Pairs):
        assert ours.most == meta["max"], name
        compare("", ours.key, theirs.key)
        compare("", ours.value, theirs.value)
    elif isinstance(ours, Members):
        assert set(ours.of) <= set(theirs.members), name
        assert set(ours.required) == set(theirs.required_members), name
        for member, shape in ours.of.items():
            compare(member, shape, theirs.members[member])


@pytest.mark.parametrize("operation", INPUTS)
def test_an_operation_takes_what_the_service_model_says(operation: str) -> None:
    compare(operation, INPUTS[operation], MODEL.operation_model(operation).input_shape)


def test_what_is_not_offered_is_a_member() -> None:
    for operation, names in NOT_OFFERED.items():
        assert set(names) <= set(INPUTS[operation].of)

"""Plans and token probabilities come back as they were put."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.experiments.plan import Cell, Check, Continuation, Plan, Record, Target
from puna.experiments.records import (
    distribution_as_bytes,
    distribution_of,
    identity,
    ids_as_bytes,
    ids_of,
    logprobs_as_bytes,
    logprobs_of,
    plan_as_json,
    plan_of,
)
from puna.generation import Logprob, Sampling
from puna.messages import Dialog, Message, Role
from tests.experiments import made

finite = st.floats(max_value=0, allow_nan=False)
entries = st.builds(Logprob, st.integers(-1, 2**40), st.binary(max_size=6), finite)
tokens = st.builds(
    Logprob, st.integers(-1, 2**40), st.binary(max_size=6), finite, st.lists(entries, max_size=4).map(tuple)
)


@given(st.lists(tokens, max_size=8).map(tuple))
def test_logprobs_come_back_exactly(given):
    assert logprobs_of(logprobs_as_bytes(given)) == given


@given(st.lists(st.text(st.characters(), max_size=4), max_size=9).map(tuple), st.lists(finite, max_size=12).map(tuple))
def test_distributions_come_back_exactly(texts, logprobs):
    assert distribution_of(distribution_as_bytes(texts, logprobs)) == (texts, logprobs)


@given(st.lists(st.integers(0, 2**40), max_size=50).map(tuple))
def test_ids_come_back_exactly(ids):
    assert ids_of(ids_as_bytes(ids)) == ids


def test_probabilities_are_compact():
    """60 tokens with 5 alternatives each: less than 10 bytes an entry where single precision loses nothing."""
    near = [Logprob(n, f" w{n}".encode(), -float(n) / 1024) for n in range(5)]
    told = tuple(Logprob(n % 50, f" w{n % 50}".encode(), -float(n) / 1024, tuple(near)) for n in range(60))
    assert len(logprobs_as_bytes(told)) < 10 * 360


def test_infinity_and_single_precision():
    told = (Logprob(1, b"", -math.inf), Logprob(2, b"", -0.1), Logprob(3, b"", -1e300))
    assert logprobs_of(logprobs_as_bytes(told)) == told


def everything():
    dialog = Dialog((Message(Role.SYSTEM, "Be 🦙."), Message(Role.USER, "Hi\n")))
    cell = Cell(
        index=0, target="here", prompt="p", case="c", system="s", format="auto", variant="v", ask=dialog, raw=False,
        sampling=Sampling(temperature=0, stop=("a", "b")), given=frozenset({"stop", "temperature"}), values={"animal": "llama"},
        expected="yes", continuations=(Continuation("unknown", "I don't know", "g"),), repeats=2,
    )  # fmt: skip
    text = Cell(1, "there", "p", "c", "s", "raw", "v", "<s>[INST]", raw=True)
    return Plan(
        name="all of it", definition={"name": "all of it", "cases": [{"x": 1}], "ratio": 0.25}, cells=(cell, text), seeds=(4, 9, 2),
        targets=(Target("here", settings={"model": "m", "context": 512}), Target("there", "openai", url="http://h/v1", model="x"),
                 Target("aws", "sagemaker", url="sagemaker:e", endpoint="e", format="llama2", context=512, dialect="lmi")),
        record=Record(5, 1000), checks=(Check("json", "json_schema", {"type": "object"}),), seconds=12.5, retries=0,
    )  # fmt: skip


@pytest.mark.parametrize("plan", [everything(), made.plan_of()], ids=["everything", "made"])
def test_a_plan_comes_back_through_json(plan):
    assert plan_of(json.loads(json.dumps(plan_as_json(plan)))) == plan


def test_what_is_not_said_of_a_target_is_not_kept_so_that_older_punas_read_it():
    there, aws = plan_as_json(everything())["targets"][1:]
    assert set(there) == {"name", "api", "settings", "url", "endpoint", "model"}
    assert set(aws) == {"name", "api", "settings", "url", "endpoint", "format", "context", "dialect"}


def test_the_same_experiment_is_known_whatever_the_order_of_its_keys():
    one, other = ({"a": 1, "b": (1, 2)}, {"b": [1, 2], "a": 1})
    assert identity(made.plan_of(definition=one)) == identity(made.plan_of(definition=other))
    assert identity(made.plan_of(definition=one)) != identity(made.plan_of(definition={**one, "a": 2}))

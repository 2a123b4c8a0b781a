"""A load planned from its sizes: what is told, what is refused, and that what is proposed would fit."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from puna.engines.machine import Cores
from puna.engines.plan import Plan, check_cache
from puna.errors import InputError, ModelFileError

PLAN = Plan("m", 4096, 8, 94 * 2**20, 23040, Cores(2), 1, 2)
OPTIONS = {"--slots": "slots", "--context": "context", "--prompt-cache": "prompt_cache", "--cache-type": "cache_type"}


@pytest.mark.parametrize(
    ("change", "mib"),
    [
        ({}, 720),
        ({"cache_type": "q4_0"}, 202.5),
        ({"context": 1000, "slots": 3}, 67.5),
        ({"context": 1000, "slots": 3, "cache_type": "q8_0"}, 35.859375),
    ],
)
def test_the_kv_cache_is_what_llama_cpp_says_it_takes(change, mib):
    """Its own log of the default model: "KV buffer size", at verbosity 4 (b11549)."""
    assert replace(PLAN, **change).kv_cache == mib * 2**20


def test_the_window_that_is_told_is_that_of_one_request_whatever_the_slots():
    for slots in (1, 2, 64):
        assert "window of 4096 tokens" in replace(PLAN, slots=slots).told


def proposals(text):
    """Each way as the options that it changes."""
    ways = text.partition("what would fit: ")[2].split(", or ")
    return [dict(re.findall(r"(--[a-z-]+) (\S+)", way)) for way in ways]


PLANS = st.builds(
    Plan, st.just("m"), st.integers(64, 100_000), st.integers(1, 256), st.integers(1, 10**10), st.integers(1, 10**6),
    st.just(Cores(2)), st.just(1), st.just(2), st.sampled_from(["f16", "q8_0", "q4_0"]), st.integers(0, 4096),
)  # fmt: skip


@given(PLANS, st.integers(0, 10**11))
def test_what_is_proposed_in_the_place_of_what_does_not_fit_does_fit(plan, free):
    assume(plan.needed > free)
    with pytest.raises(ModelFileError) as caught:
        plan.check_fits(free)
    ways = [way for way in proposals(str(caught.value)) if way]
    for way in ways:
        changed = {OPTIONS[flag]: value if flag == "--cache-type" else int(value) for flag, value in way.items()}
        assert replace(plan, **changed).needed <= free
    assert ways or "a smaller model" in str(caught.value)


def test_a_slot_more_than_is_proposed_would_not_fit():
    with pytest.raises(ModelFileError) as caught:
        PLAN.check_fits(94 * 2**20 + 5 * 90 * 2**20)
    assert {"--slots": "5"} in proposals(str(caught.value))


def test_what_fits_to_the_byte_is_not_refused():
    PLAN.check_fits(PLAN.needed)


@pytest.mark.parametrize(
    ("lengths", "kind", "flash", "part"),
    [
        ((64, 64), "q8_0", "off", "needs flash attention"),
        ((80, 64), "q4_0", "auto", "keys of this model's heads have 80"),
        ((64, 80), "q8_0", "on", "values of this model's heads have 80"),
    ],
)
def test_what_llama_cpp_demands_of_a_quantised_cache_is_said_before_the_load(lengths, kind, flash, part):
    facts: Any = SimpleNamespace(key_length=lengths[0], value_length=lengths[1])
    with pytest.raises(InputError, match=part):
        check_cache(facts, kind, flash)


def test_an_unquantised_cache_takes_any_heads_and_any_attention():
    facts: Any = SimpleNamespace(key_length=80, value_length=7)
    check_cache(facts, "f16", "off")

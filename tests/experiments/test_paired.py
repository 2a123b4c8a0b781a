"""Rows as independent values and as pairs: what counts once, what is averaged, what is left out and counted."""

import itertools
import statistics

import pytest

from puna.errors import InputError
from puna.experiments import paired
from puna.experiments.factors import factor, greedy, levels
from puna.experiments.measures import MEASURES
from puna.experiments.paired import Over
from puna.generation import Sampling
from tests.experiments.made_rows import cell, row, rows

TOKENS = MEASURES["tokens"]


def pairs(*args, **kwargs):
    return paired.pairs(*args, **kwargs)


def units(*args, **kwargs):
    return paired.units(*args, **kwargs)


def test_settings_are_paired_by_prompt_case_and_seed():
    cold, hot = cell(0, temperature=0.5), cell(1, temperature=1.0)
    other = {"prompt": "q"}
    data = [
        *rows(cold, {1: 10, 2: 20}), *rows(hot, {2: 25, 1: 11}),
        *rows(cell(2, temperature=0.5, **other), {1: 100, 2: 200}), *rows(cell(3, **other), {1: 101, 2: 203}),
    ]  # fmt: skip
    (found,) = pairs(data, TOKENS)
    assert (found.a.label, found.b.label) == ("temperature=0.5 top_p=1", "temperature=1 top_p=1")
    assert sorted(found.differences) == [1, 1, 3, 5]
    assert (found.left_out, found.over, found.each) == (0, Over.REPEATS, 2)


def test_a_failed_row_leaves_its_pair_out_and_is_counted():
    data = [*rows(cell(0, temperature=0.5), {1: 10, 2: None, 3: 30}), *rows(cell(1), {1: 11, 2: 12, 3: 33, 4: 44})]
    (found,) = pairs(data, TOKENS)
    assert found.differences == (1, 3)
    assert found.left_out == 2, "seed 2 failed on one side, seed 4 was never asked there"
    cold, hot = units(data, TOKENS)[0]
    assert (cold.values, cold.failed, cold.undefined) == ((10, 30), 1, 0)
    assert hot.failed == 0


def test_an_answer_without_the_number_is_undefined_not_failed():
    data = [row(cell(0), 1, None, "text"), row(cell(0), 2, 7)]
    (found,), _ = units(data, TOKENS)
    assert (found.values, found.failed, found.undefined) == ((7,), 0, 1)


def test_greedy_repeats_are_one_answer():
    plain, pirate = cell(0, temperature=0), cell(1, temperature=0, system="pirate")
    data = [*rows(plain, dict.fromkeys(range(1, 9), 40)), *rows(pirate, dict.fromkeys(range(1, 9), 55))]
    (found,) = pairs(data, TOKENS)
    assert found.differences == (15,), "eight times the same difference would be p = 0.008"
    assert found.over is Over.PROMPTS
    assert [each.values for each in units(data, TOKENS)[0]] == [(40,), (55,)]


def test_a_greedy_side_has_its_value_for_every_seed_of_the_other_side():
    data = [row(cell(0, temperature=0), 1, 40), *rows(cell(1), {1: 41, 2: 43, 3: None})]
    (found,) = pairs(data, TOKENS)
    assert found.differences == (1, 3)
    assert found.left_out == 1


def test_greedy_repeats_that_differ_are_repeats():
    data = [*rows(cell(0, temperature=0), {1: 4, 2: 6}), *rows(cell(1, temperature=0, system="pirate"), {1: 5, 2: 5})]
    (found,) = pairs(data, TOKENS)
    assert sorted(found.differences) == [-1, 1], "a latency, or an engine that is not reproducible"


def test_other_coordinates_are_averaged_within_a_unit():
    data = []
    for index, (system, top_p) in enumerate(itertools.product(("none", "pirate"), (0.5, 1.0))):
        base = 10 if system == "none" else 20
        data += rows(cell(index, top_p=top_p, system=system), {1: base + 10 * top_p, 2: base})
    (found,) = pairs(data, TOKENS, "system")
    assert found.differences == (10, 10), "two seeds, not four rows"
    by_top_p = pairs(data, TOKENS, "top_p")[0]
    assert (by_top_p.a.value, by_top_p.b.value) == (0.5, 1.0)
    assert by_top_p.differences == (5, 0)


def mixed(seeds, *, prompts=("p",), sampled=20, known=10, **names):
    """A greedy context and a sampled one, whose mean is 15 unless told otherwise."""
    return [
        each
        for n, prompt in enumerate(prompts)
        for each in (
            *rows(cell(2 * n, temperature=0, prompt=prompt, **names), dict.fromkeys(range(1, seeds + 1), known)),
            *rows(cell(2 * n + 1, prompt=prompt, **names), {s: sampled + (-1) ** s for s in range(1, seeds + 1)}),
        )
    ]


@pytest.mark.parametrize("seeds", [2, 8, 32])
@pytest.mark.parametrize("over", Over)
def test_a_greedy_context_has_the_weight_of_a_sampled_one_however_many_repeats(seeds, over):
    data = mixed(seeds, prompts=("p", "q"), system="x") + mixed(seeds, prompts=("p", "q"), system="y", known=16)
    one, other = units(data, TOKENS, "system", over)[0]
    assert statistics.mean(one.values) == 15
    assert statistics.mean(other.values) == 18
    assert len(one.values) == (2 if over is Over.PROMPTS else 2 * seeds), "the greedy answer is no value more"
    assert not one.exact
    (found,) = pairs(data, TOKENS, "system", over)
    assert statistics.mean(found.differences) == 3
    assert len(found.differences) == len(one.values)
    assert (found.left_out, one.incomplete) == (0, 0)


def test_only_sampled_contexts_vary_among_repeats():
    data = mixed(8)
    (found,), _ = units([*data], TOKENS, "prompt")
    assert found.groups == ((14.5, 15.5) * 4,), "half of 19 and of 21, half of 10"
    assert (found.sampled, found.weight) == ((19, 21) * 4, 0.5)


def test_where_all_contexts_are_greedy_a_place_has_one_known_value():
    data = []
    for n, (top_p, system) in enumerate(itertools.product((0.5, 1.0), ("x", "y"))):
        data += rows(cell(n, temperature=0, top_p=top_p, system=system), dict.fromkeys(range(1, 9), 10 + 20 * n))
    found, _ = units(data, TOKENS, "system", Over.REPEATS)
    assert [(each.values, each.exact) for each in found] == [((30,), True), ((50,), True)]
    (both,) = pairs(data, TOKENS, "system", Over.REPEATS)
    assert (both.differences, both.over) == ((20,), Over.PROMPTS)


def test_greedy_and_sampled_contexts_are_averaged_in_each_pair():
    data = mixed(8, system="x", known=30) + mixed(8, system="y", known=50)
    (found,) = pairs(data, TOKENS, "system")
    assert found.differences == (10,) * 8, "half of 20, half of 0; eight pairs, not nine"
    assert (found.over, found.each) == (Over.REPEATS, 1)


def test_a_unit_that_lacks_a_context_takes_no_part_and_is_counted():
    data = [
        *rows(cell(0, temperature=0), {1: 10, 2: 10, 3: 10}),
        *rows(cell(1, temperature=0.5), {1: 20, 2: None, 3: 22}),
        *rows(cell(2), {1: 60, 2: 90, 3: 62}),
    ]
    (found,), _ = units(data, TOKENS, "prompt")
    assert found.values == (30, pytest.approx(94 / 3))
    assert (found.failed, found.incomplete) == (1, 1), (
        "seed 2 of one context failed, so that the other's 90 takes no part"
    )
    (over,), _ = units(data, TOKENS, "prompt", Over.PROMPTS)
    assert over.values == (pytest.approx((10 + 21 + 212 / 3) / 3),), (
        "a mean of each context, of the repeats that it has"
    )
    assert over.incomplete == 0


def test_a_pair_that_lacks_a_context_is_left_out_with_the_others_of_its_seed():
    data = []
    for n, (system, top_p) in enumerate(itertools.product(("x", "y"), (0.5, 1.0))):
        data += rows(cell(n, system=system, top_p=top_p), {1: 10 * n, 2: None if n == 3 else 11 * n, 3: 12 * n})
    (found,) = pairs(data, TOKENS, "system")
    assert (found.differences, found.left_out) == ((20, 24), 2)


def test_a_context_without_any_value_is_not_waited_for():
    dead = rows(cell(2, top_p=0.5), dict.fromkeys(range(1, 4)))
    (found,), _ = units([*mixed(3), *dead], TOKENS, "prompt")
    assert (statistics.mean(found.values), len(found.values), found.failed) == (pytest.approx(15 - 1 / 6), 3, 3)


def test_a_place_that_lacks_a_context_has_no_value():
    data = [*mixed(3, prompts=("p", "q")), *rows(cell(8, top_p=0.5), {1: 0, 2: 0, 3: 0})]
    data += rows(cell(9, top_p=0.5, prompt="q"), dict.fromkeys(range(1, 4)))
    for over in Over:
        found = units(data, TOKENS, "system", over)[0][0]
        assert len(found.groups) == 1
        assert (found.failed, found.incomplete) == (3, 4), "three sampled answers and the greedy one of q"


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"top_k": 1}, {"top_p": 0}, {"min_p": 1}])
def test_greedy_is_what_always_takes_the_likeliest(sampling):
    assert greedy(Sampling.of(sampling))
    assert not greedy(Sampling())


def test_many_prompts_are_a_sample_of_prompts():
    def data(prompts):
        return [
            each
            for n in range(prompts)
            for k, temperature in enumerate((0.5, 1.0))
            for each in rows(cell(2 * n + k, temperature=temperature, prompt=f"p{n}"), {1: 10 + k * n, 2: 12 + k * n})
        ]

    (few,), (many,) = pairs(data(11), TOKENS), pairs(data(12), TOKENS)
    assert (few.over, len(few.differences), few.each) == (Over.REPEATS, 22, 11)
    assert (many.over, many.differences, many.each) == (Over.PROMPTS, tuple(range(12)), 1)
    (told,) = pairs(data(12), TOKENS, over=Over.REPEATS)
    assert len(told.differences) == 24
    assert units(data(12), TOKENS)[0][0].groups == ((11,) * 12,)


def test_prompts_and_cases_can_be_compared_too():
    data = []
    for n, (prompt, case) in enumerate(itertools.product(("short", "long"), ("llama", "condor"))):
        data += rows(cell(n, prompt=prompt, case=case), {1: len(prompt), 2: len(prompt) + len(case)})
    (by_prompt,) = pairs(data, TOKENS, "prompt")
    assert by_prompt.differences == (-1, -1, -1, -1)
    (by_case,) = pairs(data, TOKENS, "case")
    assert by_case.differences == (0, 1, 0, 1)


def test_two_runs_are_compared_row_by_row():
    data = [*rows(cell(0), {1: 5, 2: 6}), row(cell(0), 1, 7, run="b"), row(cell(0), 2, 8, run="b")]
    (found,) = pairs(data, TOKENS, "run")
    assert (found.a.label, found.b.label, found.differences) == ("a", "b", (2, 2))


def test_levels_with_nothing_in_common_have_no_pairs_and_say_so():
    data = [
        *rows(cell(0, temperature=0.5, top_p=0.5), {1: 5, 2: 6}),
        *rows(cell(1, temperature=1, top_p=1), {1: 5, 2: 6}),
    ]
    (found,) = pairs(data, TOKENS, "temperature")
    assert (found.differences, found.left_out, found.unmatched) == ((), 0, 4)
    assert [each.matched for each in units(data, TOKENS, "temperature")[0]] == [False, False]
    assert [each.matched for each in units(data, TOKENS)[0]] == [True, True]


def test_numbers_are_levels_in_order_and_names_as_they_come():
    data = [
        row(cell(n, temperature=t, system=s), 1, 1) for n, (t, s) in enumerate([(1.0, "z"), (0.25, "a"), (0.5, "z")])
    ]
    assert [level.label for level in levels(data, factor("temperature"))] == ["0.25", "0.5", "1"]
    assert [level.label for level in levels(data, factor("system"))] == ["z", "a"]
    assert [level.label for level in levels(data, factor("setting"))][1] == "a, temperature=0.25 top_p=1"
    assert [level.label for level in levels(data[:1], factor("setting"))] == ["temperature=1 top_p=1"]


def test_an_unknown_factor_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="unknown factor 'temprature'. Did you mean 'temperature'"):
        pairs([], TOKENS, "temprature")
    with pytest.raises(InputError, match="unknown factor 'seed'"):
        units([], TOKENS, "seed")


def test_no_rows_no_levels():
    assert pairs([], TOKENS) == ()
    assert units([], TOKENS)[0] == ()

"""Rows as independent values and as pairs: what counts once, what is averaged, what is left out and counted."""

import itertools

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


def test_greedy_and_sampled_contexts_do_not_lend_each_other_repeats():
    data = []
    for index, (system, temperature) in enumerate(itertools.product(("none", "pirate"), (0.0, 1.0))):
        greedy_answer = 50 if system == "pirate" else 30
        tokens = {seed: greedy_answer if temperature == 0 else 40 + seed for seed in range(1, 9)}
        data += rows(cell(index, temperature=temperature, system=system), tokens)
    (found,) = pairs(data, TOKENS, "system")
    assert sorted(found.differences) == [0] * 8 + [20], "not eight times 10"


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

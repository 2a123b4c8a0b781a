"""Verdicts: from rows that are made by hand, what holds, what does not, and what nobody can know."""

from dataclasses import replace

import pytest

from puna.experiments.expectations import (
    Amount,
    Averages,
    Bounds,
    Differs,
    Holds,
    Likelier,
    Part,
    PromptTest,
    Statistic,
)
from puna.experiments.plan import Check, Continuation, Plan, Target
from puna.experiments.rows import Likelihood
from puna.experiments.stats import wilson
from puna.experiments.verdicts import Result, verdicts
from puna.generation import Logprob, Sampling
from tests.experiments.rows_of import cell_of, failed_row, row_of

YEAR = Check('contains "1889"', "contains", "1889")
HERE, CELL = Target("here"), cell_of()
COLD, WARM = Sampling(temperature=0.1), Sampling(temperature=1.0)


def plan_of(*cells, targets=(HERE,), checks=(YEAR,)):
    return Plan("made", {}, targets, cells, tuple(range(1, 9)), checks=checks)


def one(expectation, rows, *, cells=(CELL,), parts=None, likelihoods=(), **given):
    """The only verdict on an expectation of all these cells."""
    test = PromptTest("a test", (expectation,), frozenset(cell.index for cell in cells), parts or {})
    (verdict,) = verdicts(plan_of(*cells, **given), [test], rows, likelihoods)
    return verdict


def answers(*outputs, cell=None):
    return [row_of(output, cell=cell, repeat=n, seed=n + 1) for n, output in enumerate(outputs)]


def said(k, n):
    return answers(*["In 1889."] * k, *["I forgot."] * (n - k))


# ---- in how many outputs


@pytest.mark.parametrize(
    ("amount", "k", "result"),
    [
        (Amount(least=6), 6, Result.PASSED),
        (Amount(least=6), 5, Result.FAILED),
        (Amount(least=0.1), 1, Result.PASSED),  # as a floating-point number 0.1 is a little more
        (Amount(least=0.71), 7, Result.FAILED),
        (Amount(least=1.0), 10, Result.PASSED),
        (Amount(least=1.0), 9, Result.FAILED),
        (Amount(least=1), 1, Result.PASSED),
        (Amount(most=0), 0, Result.PASSED),
        (Amount(most=0), 1, Result.FAILED),
        (Amount(least=2, most=0.5), 5, Result.PASSED),
        (Amount(least=2, most=0.5), 6, Result.FAILED),
        (Amount(least=2, most=0.5), 1, Result.FAILED),
    ],
)
def test_a_check_holds_in_as_many_outputs_as_told(amount, k, result):
    verdict = one(Holds(YEAR.name, amount=amount), said(k, 10))
    assert (verdict.result, verdict.held, verdict.of) == (result, k, 10)
    assert verdict.interval == wilson(k, 10)


def test_an_example_is_an_output_that_falls_short():
    assert one(Holds(YEAR.name, amount=Amount(least=8)), said(5, 10)).example.output == "I forgot."
    assert one(Holds(YEAR.name, amount=Amount(most=2)), said(5, 10)).example.output == "In 1889."


def test_bounds_of_a_number_are_counted_by_their_own_amount():
    rows = answers("a b", "a b c d", "a b c d e f")
    words = Holds("words", Bounds(low=3, high=5), Amount(least=1), check=False)
    assert (one(words, rows).result, one(words, rows).held) == (Result.PASSED, 1)
    assert one(replace(words, amount=Amount(least=2)), rows).result is Result.FAILED


@pytest.mark.parametrize(
    ("k", "failed", "result"),
    [
        (6, 2, Result.PASSED),  # whatever the two would have said
        (5, 1, Result.ERROR),
        (4, 1, Result.FAILED),
        (0, 8, Result.ERROR),
    ],
)
def test_a_trial_that_failed_counts_neither_way(k, failed, result):
    rows = [*said(k, 8 - failed), *(failed_row(repeat=8 - n, seed=9 - n) for n in range(failed))]
    verdict = one(Holds(YEAR.name, amount=Amount(least=6)), rows)
    assert (verdict.result, verdict.held, verdict.of) == (result, k, 8 - failed)
    if result is Result.ERROR:
        assert verdict.reason == f"{failed} of 8 trials: timeout: no answer within 1 s"


def test_an_output_without_the_score_counts_neither_way():
    verdict = one(Holds("mean_logprob", Bounds(low=-1), check=False), said(3, 3))
    assert (verdict.result, verdict.of, verdict.interval) == (Result.ERROR, 0, None)
    assert "no value" in verdict.reason


def test_no_outputs_is_no_success():
    assert one(Holds(YEAR.name, amount=Amount(most=0)), []).result is Result.ERROR


def test_repeats_of_a_greedy_cell_are_one_answer():
    greedy = cell_of(sampling=Sampling(temperature=0))
    verdict = one(Holds(YEAR.name), answers(*["In 1889."] * 8, cell=greedy), cells=(greedy,))
    assert verdict.result is Result.PASSED
    assert verdict.interval == wilson(1, 1)


# ---- mean, median, diversity


def test_a_mean_and_a_median_are_what_they_are():
    rows = answers("a", "a b", "a b c d e f")
    mean = one(Averages("words", Bounds(high=3)), rows)
    assert (mean.result, mean.found, mean.interval.estimate) == (Result.PASSED, "3.00", 3)
    assert one(Averages("words", Bounds(high=2.9)), rows).example.output == "a b c d e f"
    assert one(Averages("words", Bounds(low=3.1)), rows).example.output == "a"
    assert one(Averages("words", Bounds(high=2), Statistic.MEDIAN), rows).result is Result.PASSED
    assert one(Averages("words", Bounds(high=3)), [*rows, failed_row(repeat=3)]).result is Result.ERROR


def test_diversity_is_of_the_repeats_of_a_cell():
    same, other = answers(*["The llama sang a song."] * 4), answers("One two three.", "Red blue.", "Cold hills.")
    assert one(Averages("diversity", Bounds(high=0)), same).result is Result.PASSED
    assert one(Averages("diversity", Bounds(low=0.7)), other).result is Result.PASSED
    assert one(Averages("diversity", Bounds(low=0.7)), same).result is Result.FAILED
    assert one(Averages("diversity", Bounds(low=0.7)), same[:1]).result is Result.ERROR


# ---- one part against another

CELLS = (cell_of(index=0, variant="cold", sampling=COLD), cell_of(index=1, variant="warm", sampling=WARM))
PARTS = {cell.variant: Part("variant", cell.variant, frozenset({cell.index})) for cell in CELLS}
SAME = ["The llama walked over the hills."] * 8
VARIED = [
    f"{word} {word}ed there {n} times."
    for n, word in enumerate(("jump", "sing", "walk", "talk", "rest", "play", "cook", "look"))
]


def both(cold, warm):
    return [*answers(*cold, cell=CELLS[0]), *answers(*warm, cell=CELLS[1])]


@pytest.mark.parametrize("alpha", [None, 0.05])
@pytest.mark.parametrize("order", [1, -1])
def test_less_diverse_is_tested_whatever_the_order_of_the_cells(alpha, order):
    rows = both(SAME, VARIED)[::order]
    parts = {"cells": CELLS, "parts": PARTS}
    found = one(Differs("diversity", "cold", "less", "warm", alpha), rows, **parts)
    assert found.result is Result.PASSED
    assert found.interval.estimate < -0.5
    assert (found.p is None) == (alpha is None)
    assert one(Differs("diversity", "warm", "more", "cold", alpha), rows, **parts).result is Result.PASSED
    assert one(Differs("diversity", "cold", "more", "warm", alpha), rows, **parts).result is Result.FAILED
    assert one(Differs("diversity", "warm", "less", "cold", alpha), rows, **parts).result is Result.FAILED


def test_a_difference_that_may_be_chance_fails_where_the_test_is_asked_for():
    rows = both(["a b"] * 5 + ["a"] * 3, ["a b"] * 4 + ["a"] * 3 + ["a b c d"])
    parts = {"cells": CELLS, "parts": PARTS}
    assert one(Differs("words", "cold", "less", "warm"), rows, **parts).result is Result.PASSED
    found = one(Differs("words", "cold", "less", "warm", 0.05), rows, **parts)
    assert found.result is Result.FAILED
    assert found.p > 0.05
    assert "by chance" in found.reason
    assert found.found == "1.62 and 1.88"


def test_equal_parts_are_neither_less_nor_more():
    rows = both(SAME, SAME)
    for relation in ("less", "more"):
        found = one(Differs("diversity", "cold", relation, "warm"), rows, cells=CELLS, parts=PARTS)
        assert found.result is Result.FAILED


def test_checks_can_be_compared_and_a_failed_trial_leaves_no_verdict():
    rows = both(["In 1889."] * 8, ["I forgot."] * 8)
    more = Differs(YEAR.name, "cold", "more", "warm", 0.05)
    assert one(more, rows, cells=CELLS, parts=PARTS).result is Result.PASSED
    broken = [*rows[:-1], failed_row(cell=CELLS[1], repeat=7, seed=8)]
    assert one(more, broken, cells=CELLS, parts=PARTS).result is Result.ERROR


def test_prompts_can_be_compared():
    cells = (cell_of(index=0, prompt="t: bare"), cell_of(index=1, prompt="t: told"))
    parts = {name: Part("prompt", f"t: {name}", frozenset({n})) for n, name in enumerate(("bare", "told"))}
    rows = [*answers(*["no"] * 6, cell=cells[0]), *answers(*["In 1889"] * 6, cell=cells[1])]
    found = one(Differs(YEAR.name, "told", "more", "bare", 0.05), rows, cells=cells, parts=parts)
    assert (found.result, found.found) == (Result.PASSED, "100 % and 0 %")


# ---- likelihoods


def likelihood(cell, text, *logprobs):
    return Likelihood(cell, text, text, tuple(Logprob(0, b"x", value) for value in logprobs))


TEXTS = (Continuation("I don't know.", "I don't know."), Continuation("Yes.", "Yes."))
ASKED = cell_of(continuations=TEXTS)
UNKNOWN, YES = likelihood(0, "I don't know.", -1, -1, -1), likelihood(0, "Yes.", -2)


def test_a_continuation_is_likelier_by_the_whole_or_per_token():
    expected = Likelier("I don't know.", ("Yes.",))
    assert one(expected, [], cells=(ASKED,), likelihoods=[UNKNOWN, YES]).result is Result.FAILED
    found = one(replace(expected, by="token"), [], cells=(ASKED,), likelihoods=[YES, UNKNOWN])
    assert (found.result, found.found, found.wanted) == (Result.PASSED, "1 of 1", "all 1")
    assert one(expected, [], cells=(ASKED,), likelihoods=[UNKNOWN]).result is Result.ERROR
    assert one(expected, [], cells=(ASKED,)).result is Result.ERROR


def test_what_two_tests_ask_alike_is_scored_for_the_first_of_them():
    cells = (ASKED, replace(ASKED, index=1))
    tests = [PromptTest(f"{n}", (Likelier("Yes.", ("I don't know.",)),), frozenset({n})) for n in (0, 1)]
    found = list(verdicts(plan_of(*cells), tests, [], [UNKNOWN, YES]))
    assert [(verdict.test, verdict.result) for verdict in found] == [("0", Result.PASSED), ("1", Result.PASSED)]


# ---- targets


def test_every_target_has_verdicts_of_its_own():
    cells = (cell_of(index=0, target="here"), cell_of(index=1, target="there"))
    targets = (Target("here"), Target("there", "openai", url="http://127.0.0.1:1"))
    test = PromptTest("a test", (Holds(YEAR.name),), frozenset({0, 1}))
    rows = [*answers("In 1889", cell=cells[0]), *answers("no", cell=cells[1])]
    found = list(verdicts(plan_of(*cells, targets=targets), [test], rows))
    assert [(v.target, v.result) for v in found] == [("here", Result.PASSED), ("there", Result.FAILED)]


def test_seconds_are_those_of_the_trials_shared_by_their_expectations():
    test = PromptTest("a test", (Holds(YEAR.name), Averages("words", Bounds(low=1))), frozenset({0}))
    rows = [*said(3, 3), replace(row_of("In 1889", repeat=3), reused="earlier")]
    found = list(verdicts(plan_of(cell_of()), [test], rows))
    assert [verdict.seconds for verdict in found] == [3.0, 3.0]  # 3 trials of 2 s; one was taken from another run

"""The paired test against scipy, and against simulated pairs whose truth is known."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from puna.errors import InputError
from puna.experiments import permutation, stats
from puna.experiments.permutation import difference_interval, paired_permutation
from puna.experiments.stats import Interval, power


def paired_tests(*args, **kwargs):
    return permutation.paired_tests(*args, **kwargs)


def holm(ps):
    return stats.holm(ps)


def repeats_needed(*args):
    return stats.repeats_needed(*args)


def binomial(rate, n):
    """Where a share of n tests lies, but for one in a thousand."""
    return scipy_stats.binom.ppf([0.0005, 0.9995], n, rate) / n


@pytest.mark.parametrize("n", [1, 2, 5, 8, 12])
@pytest.mark.parametrize("whole", [True, False], ids=["ties", "no ties"])
def test_the_test_of_few_pairs_is_scipys_exact_one(n, whole):
    differences = np.random.default_rng(n).normal(0.5, 1, n)
    differences = np.round(2 * differences) if whole else differences
    theirs = scipy_stats.permutation_test(
        (differences, np.zeros(n)), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples", n_resamples=10**6, vectorized=True
    ) if n > 1 else None  # fmt: skip
    assert paired_permutation(differences) == pytest.approx(theirs.pvalue if theirs else 1.0)


def test_fourteen_pairs_by_enumeration_are_the_same_as_by_draws_up_to_their_error():
    differences = np.random.default_rng(1).normal(0.4, 1, 14)
    exact = paired_permutation(differences)
    signs = np.random.default_rng(2).choice([-1, 1], (100_000, 14))
    drawn = (np.abs(signs @ differences) >= abs(differences.sum())).mean()
    assert exact == pytest.approx(drawn, abs=4 * np.sqrt(exact * (1 - exact) / 100_000))


def test_many_pairs_are_near_the_t_test_and_never_have_p_zero():
    differences = np.random.default_rng(3).normal(0.2, 1, 120)
    theirs = scipy_stats.ttest_1samp(differences, 0).pvalue
    assert paired_permutation(differences) == pytest.approx(theirs, abs=0.01)
    assert paired_permutation(np.ones(200)) == 1 / 10_000
    assert paired_permutation(np.ones(200), draws=99) == 1 / 100
    assert paired_permutation(differences) == paired_permutation(differences)


def test_no_difference_is_no_evidence():
    assert paired_permutation([0.0] * 8) == 1
    assert paired_permutation([0.0] * 100) == 1
    assert difference_interval([0.0] * 8) == Interval(0, 0, 0)
    assert paired_permutation([3.0]) == 1
    assert paired_permutation([0.1] * 6) == pytest.approx(2 / 64)


@pytest.mark.parametrize("n", [6, 8, 14, 40])
@pytest.mark.parametrize("kind", ["normal", "heavy tails", "few values"])
def test_where_nothing_differs_five_percent_are_wrong(n, kind):
    random = np.random.default_rng(n)
    tests = 1000
    a, b = {
        "normal": lambda: random.normal(0, 1, (2, tests, n)),
        "heavy tails": lambda: random.standard_t(2, (2, tests, n)),
        "few values": lambda: random.poisson(1, (2, tests, n)).astype(float),
    }[kind]()
    shared = random.normal(0, 3, (tests, n)).round()  # what a pair has in common does not matter
    wrong = np.mean([test.p <= 0.05 for test in paired_tests((b + shared) - (a + shared), draws=1999)])
    low, high = binomial(0.05, tests)
    assert wrong <= high
    if kind != "few values" and n > 6:  # 6 pairs have p of 2/64 and 4/64, and ties make a test conservative
        assert wrong >= low


@pytest.mark.parametrize("n", [8, 20, 40])
def test_power_is_as_computed(n):
    found = paired_tests(np.random.default_rng(n).normal(0.5, 1, (1500, n)), draws=1999)
    rate = np.mean([test.p <= 0.05 for test in found])
    assert rate == pytest.approx(power(n, 1, 0.5), abs=0.035)


def test_so_many_repeats_as_are_needed_show_the_difference_in_80_percent():
    n = repeats_needed(2.0, 1.5)
    found = paired_tests(np.random.default_rng(4).normal(1.5, 2, (1000, n)), draws=1999)
    low, high = binomial(0.8, 1000)
    assert low - 0.01 <= np.mean([test.p <= 0.05 for test in found]) <= high + 0.02


def test_a_family_has_a_wrong_one_in_at_most_five_percent():
    """Ten comparisons of five settings that do not differ: their tests depend on each other."""
    random = np.random.default_rng(5)
    families, settings, n = 400, 5, 10
    values = random.normal(0, 1, (families, settings, n)) + random.normal(0, 2, (families, 1, n))
    pairs = [(i, j) for i in range(settings) for j in range(i)]
    ps = np.array([test.p for test in paired_tests([family[i] - family[j] for family in values for i, j in pairs])])
    ps = ps.reshape(families, len(pairs))
    uncorrected = np.mean(ps.min(axis=1) <= 0.05)
    corrected = np.mean([min(holm(each)) <= 0.05 for each in ps])
    assert uncorrected > 0.2
    assert corrected <= binomial(0.05, families)[1]


@pytest.mark.parametrize("n", [6, 8, 14, 30])
def test_the_interval_covers_and_agrees_with_the_test(n):
    samples = np.random.default_rng(n).normal(2, 5, (600, n))
    found = paired_tests(samples, draws=1999)
    for test in found:
        assert test.difference.holds(0) == (test.p > 0.05)
        assert test.difference.holds(test.difference.estimate)
    rate = np.mean([test.difference.holds(2) for test in found])
    assert binomial(0.95, 600)[0] <= rate <= binomial(0.97, 600)[1]


def test_the_interval_of_skewed_differences_covers_nearly_as_much():
    samples = np.random.default_rng(6).exponential(1, (600, 20)) - np.random.default_rng(7).exponential(3, (600, 20))
    assert np.mean([test.difference.holds(-2) for test in paired_tests(samples, draws=1999)]) >= 0.92


def test_five_pairs_cannot_refuse_anything_and_six_can():
    assert difference_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == Interval(3.0, None, None)
    assert difference_interval([1.0, 2.0, 3.0, 4.0, 5.0, 9.0]) == Interval(4.0, 1.0, 9.0)
    assert difference_interval([1.0, 2.0, 3.0, 4.0, 5.0], 0.9) == Interval(3.0, 1.0, 5.0)


def test_sets_tested_together_are_as_tested_alone():
    sets = [np.random.default_rng(n).normal(0.3, 1, n) for n in (3, 20, 8, 20, 8)]
    assert [test.p for test in paired_tests(sets)] == [paired_permutation(each) for each in sets]
    assert paired_tests([]) == []


def test_where_p_is_small_more_choices_can_be_drawn():
    sets = [np.full(30, 1.0), np.random.default_rng(8).normal(0.1, 1, 30)]
    first, second = paired_tests(sets, most_draws=199_999)
    assert first.p == pytest.approx(1 / 200_000)
    assert second == paired_tests(sets)[1]
    assert first.difference == paired_tests(sets)[0].difference


@pytest.mark.parametrize("differences", [[], [float("nan")], [1.0, float("inf")]])
def test_what_is_no_difference_is_refused(differences):
    with pytest.raises(InputError, match="a paired test needs at least one difference"):
        paired_permutation(differences)

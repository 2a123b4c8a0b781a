"""Intervals and power against scipy, and against simulated data whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from puna.errors import InputError
from puna.experiments import stats
from puna.experiments.similarity import diversity
from puna.experiments.stats import (
    Interval,
    diversity_interval,
    effect,
    holm,
    least_pairs,
    median_interval,
    power,
    pseudo_values,
    superiority,
    wilson,
)


def grouped_mean_interval(*args):
    return stats.grouped_mean_interval(*args)


def mean_interval(*args):
    return stats.mean_interval(*args)


def repeats_needed(*args):
    return stats.repeats_needed(*args)


def detectable(*args):
    return stats.detectable(*args)


def covered(intervals, truth):
    return np.mean([interval.holds(truth) for interval in intervals])


# ---- means


def test_a_mean_of_many_values_has_the_interval_of_scipys_bca():
    values = np.random.default_rng(1).exponential(10, 200)
    ours = mean_interval(values)
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=9999, rng=np.random.default_rng(2)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.estimate == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)
    assert ours.high - ours.estimate > ours.estimate - ours.low, "skewed values have a skewed interval"


@pytest.mark.parametrize("n", [3, 5, 8, 20])
def test_the_interval_of_few_normal_values_covers_95_percent(n):
    samples = np.random.default_rng(n).normal(5, 2, (500, n))
    rate = covered([mean_interval(sample) for sample in samples], 5)
    assert 0.92 <= rate <= 0.975, "0.95 within three standard errors; plain BCa has 0.80 to 0.93"


def test_the_interval_of_few_lengths_that_are_cut_at_max_tokens_covers_as_much():
    random = np.random.default_rng(4)
    truth = np.minimum(random.geometric(1 / 50, 10**6), 60).mean()
    samples = np.minimum(random.geometric(1 / 50, (400, 8)), 60).astype(float)
    assert 0.92 <= covered([mean_interval(sample) for sample in samples], truth) <= 0.98


def test_groups_that_stay_the_same_do_not_widen_the_interval():
    random = np.random.default_rng(5)
    prompts = np.array([10.0, 50.0, 200.0])
    intervals = [
        grouped_mean_interval([(prompt + random.normal(0, 3, 4)).tolist() for prompt in prompts]) for _ in range(400)
    ]
    assert 0.92 <= covered(intervals, prompts.mean()) <= 0.975
    assert np.mean([i.high - i.low for i in intervals]) < 5, "pooled, it would be 100"


def test_two_repeats_of_five_prompts_are_enough_for_an_honest_interval():
    random = np.random.default_rng(6)
    prompts = np.arange(5) * 100.0
    intervals = [
        grouped_mean_interval([(prompt + random.normal(0, 3, 2)).tolist() for prompt in prompts]) for _ in range(400)
    ]
    assert 0.92 <= covered(intervals, prompts.mean()) <= 0.985, (
        "a plain bootstrap of two values has half their variance"
    )


def test_two_repeats_of_many_prompts_too():
    random = np.random.default_rng(7)
    prompts = np.arange(20) * 100.0
    intervals = [
        grouped_mean_interval([(prompt + random.normal(0, 3, 2)).tolist() for prompt in prompts]) for _ in range(400)
    ]
    assert 0.92 <= covered(intervals, prompts.mean()) <= 0.985


def test_what_cannot_be_told_has_no_ends():
    assert mean_interval([4.0]) == Interval(4.0, None, None)
    assert grouped_mean_interval([[1.0], [3.0]]) == Interval(2.0, None, None)
    assert not mean_interval([4.0]).known
    assert mean_interval([4.0]).holds(-1000)
    assert mean_interval([4.0, 4.0, 4.0]) == Interval(4.0, 4.0, 4.0)
    assert mean_interval([0.1 + 0.2, 0.3, 0.3]).high == pytest.approx(0.3)


def test_a_group_of_one_value_is_exact():
    together = grouped_mean_interval([[1.0, 2.0, 3.0, 4.0, 5.0], [9.0]])
    alone = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert together.high - together.low == pytest.approx((alone.high - alone.low) * 5 / 6, rel=0.01)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_what_is_no_number_is_refused(values):
    for of in (mean_interval, median_interval, superiority):
        with pytest.raises(InputError, match="statistics need at least one number"):
            of(values)


def test_the_same_values_have_the_same_interval_each_time():
    values = np.random.default_rng(7).normal(size=30)
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values).low != mean_interval(values, 0.8).low


# ---- medians


@pytest.mark.parametrize("n", [6, 9, 30])
@pytest.mark.parametrize("draw", ["normal", "lognormal", "poisson"])
def test_the_median_is_covered_for_any_distribution(n, draw):
    samples = getattr(np.random.default_rng(n), draw)(size=(1000, n))
    truth = {"normal": 0, "lognormal": 1, "poisson": 1}[draw]
    rate = covered([median_interval(sample) for sample in samples], truth)
    assert rate >= 0.935, "95 %, less two standard errors"


def test_the_medians_ends_are_order_statistics():
    assert median_interval([1, 2, 3, 4, 5, 60]) == Interval(3.5, 1, 60)
    assert median_interval(range(1, 10)) == Interval(5, 2, 8)  # P(at most 1 of 9) = 0.0195, of 2: 0.09
    assert median_interval([1, 2, 3, 4, 5]) == Interval(3, None, None)
    assert median_interval([7, 7, 7]) == Interval(7, 7, 7)


# ---- shares


@pytest.mark.parametrize(("successes", "n"), [(0, 8), (3, 8), (8, 8), (57, 300)])
def test_wilson_is_scipys(successes, n):
    ours, theirs = wilson(successes, n), scipy_stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert ours.estimate == successes / n


def test_no_share_of_nothing():
    with pytest.raises(InputError, match="a share needs"):
        wilson(0, 0)


# ---- families, effects


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx((0.04, 0.09, 0.09, 0.5))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()


def test_effects_by_hand():
    assert effect([1.0, 2.0, 3.0]) == 2.0
    assert effect([1.0]) is None
    assert effect([2.0, 2.0, 2.0]) is None
    assert superiority([1.0, -2.0, 0.0, 5.0]) == 0.625


# ---- power


@pytest.mark.parametrize(("n", "sd", "difference", "alpha"), [(8, 10, 12, 0.05), (20, 1, 0.5, 0.05), (50, 3, 1, 0.005)])
def test_power_is_that_of_the_paired_t_test_in_simulation(n, sd, difference, alpha):
    samples = np.random.default_rng(n).normal(difference, sd, (20_000, n))
    refused = scipy_stats.ttest_1samp(samples, 0, axis=1).pvalue <= alpha
    assert power(n, sd, difference, alpha) == pytest.approx(refused.mean(), abs=0.012)


def test_no_power_where_so_few_pairs_cannot_be_significant():
    assert least_pairs(0.05) == 6
    assert least_pairs(0.0625) == 5
    assert power(5, 1, 1000) == 0
    assert power(6, 1, 1000) == 1
    assert detectable(5, 1.0) is None
    with pytest.raises(InputError, match="above 0"):
        power(8, 0, 1)


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_needed_repeats_are_the_fewest(ratio, alpha):
    n = repeats_needed(1.0, ratio, alpha)
    assert power(n, 1.0, ratio, alpha) >= 0.8
    assert n == least_pairs(alpha) or power(n - 1, 1.0, ratio, alpha) < 0.8


def test_needed_repeats_by_the_book():
    assert repeats_needed(1.0, 0.5) == 34  # Cohen's table: a paired t-test, d = 0.5, power 0.8
    assert repeats_needed(1.0, 0.2) == 199
    assert repeats_needed(2.0, 0.0) is None
    assert repeats_needed(1.0, 1e-9) is None
    assert repeats_needed(0.0, 3.0) == 6


def test_what_is_detectable_is_what_needs_so_many():
    least = detectable(34, 1.0)
    assert least == pytest.approx(0.495, abs=0.005)
    assert power(34, 1.0, least) == pytest.approx(0.8, abs=1e-3)
    assert detectable(34, 0.0) == 0


# ---- diversity


def alike(points):
    """Similarities of points in the plane, 1 where they are the same."""
    apart = ((points[:, None] - points[None]) ** 2).sum(-1)
    return np.exp(-apart / 4)


def test_pseudo_values_are_the_jackknife():
    similarities = alike(np.random.default_rng(8).normal(size=(7, 2)))
    whole = diversity(similarities)
    by_hand = [7 * whole - 6 * diversity(np.delete(np.delete(similarities, k, 0), k, 1)) for k in range(7)]
    assert pseudo_values(similarities).tolist() == pytest.approx(by_hand)
    assert pseudo_values(similarities).mean() == pytest.approx(whole)


@pytest.mark.parametrize("n", [6, 12])
def test_the_interval_of_a_diversity_covers(n):
    random = np.random.default_rng(n)
    truth = 1 - 1 / (1 + 1)  # E exp(-|x-y|^2 / 4) of points with variance 1 in each of two dimensions
    rate = covered([diversity_interval([alike(random.normal(size=(n, 2)))]) for _ in range(500)], truth)
    assert 0.91 <= rate <= 0.98


def test_all_the_same_has_no_diversity():
    assert diversity_interval([np.ones((5, 5))]) == Interval(0, 0, 0)
    with pytest.raises(InputError, match="at least three outputs"):
        diversity_interval([np.ones((2, 2))])

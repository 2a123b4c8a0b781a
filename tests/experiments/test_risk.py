"""What choosing answers by a score is worth, against counts made by hand and against the definitions."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import InputError
from puna.experiments import risk
from puna.experiments.risk import Scored

answers = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=1, max_size=7)


def told(answers, statistic) -> Any:
    """The interval of a statistic, which there is."""
    return risk.interval(answers, statistic)


def of(rows):
    return Scored.of(*zip(*rows, strict=True))


@given(answers)
def test_auroc_counts_pairs(rows):
    pairs = [(good, bad) for good, right, _ in rows if right for bad, wrong, _ in rows if not wrong]
    counted = [1.0 if good > bad else 0.5 if good == bad else 0.0 for good, bad in pairs]
    found = risk.auroc(of(rows))
    assert found is None if not pairs else found == pytest.approx(sum(counted) / len(pairs))


@given(answers)
def test_of_equal_scores_each_order_counts_alike(rows):
    orders = [
        order for order in itertools.permutations(rows) if all(a[0] >= b[0] for a, b in itertools.pairwise(order))
    ]
    wrong = np.array([np.cumsum([not right for _, right, _ in order]) for order in orders]).mean(axis=0)
    assert risk.risks(of(rows)) == pytest.approx(wrong / np.arange(1, len(rows) + 1))


@given(answers)
def test_no_score_does_better_than_the_oracle_and_a_constant_one_does_as_chance(rows):
    made = of(rows)
    assert risk.aurc(risk.oracle(made)) <= risk.aurc(made) + 1e-12
    assert risk.aurc(of([(1.0, right, group) for _, right, group in rows])) == pytest.approx(risk.error(made))


def test_a_worked_case():
    made = of([(0.9, True, 1), (0.8, False, 1), (0.4, True, 2), (0.1, False, 2)])
    assert risk.risks(made).tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert risk.aurc(made) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert risk.auroc(made) == 0.75
    assert risk.brier(made) == pytest.approx((0.01 + 0.64 + 0.36 + 0.01) / 4)
    assert risk.error(made) == 0.5
    assert [one.estimate for one in risk.band(made, (0.25, 0.5, 0.6, 1.0))] == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])


def test_probabilities_that_come_true_have_no_calibration_error_and_others_do():
    said = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 10)
    right = np.concatenate([np.arange(10) < 10 * p for p in (0.1, 0.3, 0.5, 0.7, 0.9)])
    made = Scored.of(said.tolist(), right.tolist(), [0] * 50)
    assert risk.calibration_error(made) == pytest.approx(0)
    assert risk.calibration_error(Scored(made.scores / 2, made.right, made.groups)) == pytest.approx(0.25)
    reliability: Any = [(one.said, one.came.estimate, one.n) for one in risk.reliability(made)]
    assert reliability == [(pytest.approx(p), pytest.approx(p), 10) for p in (0.1, 0.3, 0.5, 0.7, 0.9)]


def noisy(groups, each, seed=3):
    """Answers whose outcome is shared by their whole group."""
    random = np.random.default_rng(seed)
    right = random.random(groups) < 0.5
    scores = random.random(groups) + right
    return [(float(scores[g]), bool(right[g]), g) for g in range(groups) for _ in range(each)]


def test_copies_of_what_a_group_says_make_no_interval_narrower():
    """Where answers of a group are one and the same, ten of them are no more than one."""
    once, tenfold = (told(of(noisy(30, each)), risk.error) for each in (1, 10))
    assert tenfold.low == pytest.approx(once.low)
    assert tenfold.high == pytest.approx(once.high)
    alone = told(of([(s, r, n) for n, (s, r, _) in enumerate(noisy(30, 10))]), risk.error)
    assert alone.high - alone.low < 0.5 * (tenfold.high - tenfold.low)


def test_an_interval_of_a_share_is_about_as_wide_as_theory_has_it():
    found = told(of(noisy(100, 1)), risk.error)
    share = found.estimate
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 100), rel=0.15)


def test_the_same_answers_have_the_same_intervals_and_do_not_differ_from_themselves():
    made = of(noisy(12, 3))
    assert risk.interval(made, risk.aurc) == risk.interval(of(noisy(12, 3)), risk.aurc)
    nothing: Any = risk.difference(made, made, risk.brier)
    assert (nothing.estimate, nothing.low, nothing.high) == (0, 0, 0)


def test_what_cannot_be_told():
    assert risk.interval(of([(0.5, True, 1), (0.4, True, 2)]), risk.auroc) is None
    alone = told(of([(0.5, True, 1), (0.4, False, 1)]), risk.auroc)
    assert (alone.estimate, alone.known) == (1.0, False)
    assert [one.known for one in risk.band(of([(0.5, True, 1)]), (1.0,))] == [False]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (([0.5], [True, False], [1]), "must be of the same answers"),
        (([], [], []), "one at least"),
        (([float("nan")], [True], [1]), "must be a finite number"),
    ],
)
def test_no_such_answers(rows, sentence):
    with pytest.raises(InputError, match=sentence):
        Scored.of(*rows)


def test_scores_of_other_answers_are_not_compared():
    with pytest.raises(InputError, match="on the same answers"):
        risk.difference(of([(1, True, 1), (0, False, 2)]), of([(1, True, 1), (0, False, 1)]), risk.error)

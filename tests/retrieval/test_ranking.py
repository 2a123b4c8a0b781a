"""Scores put in order, and orders put together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.retrieval.ranking import Ranking, best, fused


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0]), max_size=12), st.integers(1, 6))
def test_the_best_are_the_highest_above_zero_and_of_equals_the_earlier(scores, n):
    expected = sorted((k for k, score in enumerate(scores) if score > 0), key=lambda k: (-scores[k], k))[:n]
    assert best(np.array(scores, np.float32), n) == expected


def test_fusion_adds_what_each_rank_is_worth():
    assert fused([3, 1], [1, 2]) == pytest.approx({1: 1 / 62 + 1 / 61, 3: 1 / 61, 2: 1 / 62})
    assert list(fused([3, 1], [1, 2])) == [1, 3, 2]


def test_a_rare_word_weighs_more_than_a_frequent_one(tmp_path):
    ranking = Ranking.of(["wool grease", "wool colour", "wool"])
    scores = ranking.scores("grease wool")
    assert scores is not None
    assert best(scores, 3)[0] == 0
    ranking.save(tmp_path / "kept")
    again = Ranking.load(tmp_path / "kept").scores("grease wool")
    assert again is not None
    assert again.tolist() == scores.tolist()
    assert ranking.scores("nothing") is None

"""BLEU is sacrebleu's, pairwise BLEU is symmetric, and diversity is 0 for equal texts and rises as they part."""

import itertools
import random
import time

import numpy as np
import pytest
import sacrebleu

from puna.errors import InputError
from puna.experiments.similarity import bleu, diversity, pairwise_bleu
from puna.experiments.words import pieces, words

WORDS = [
    "the",
    "a",
    "llama",
    "condor",
    "walked",
    "over",
    "mountain",
    "high",
    "and",
    "then",
    "it",
    "sang",
    ",",
    ".",
    "to",
    "its",
    "friend",
]
TEXTS = (
    "The llama walked over the high mountain, and then it sang to its friend.",
    "The llama walked over the high mountain, and then it slept.",
    "A condor flew.",
    "A condor flew over the high mountain and the high mountain and the high mountain.",
    "the the the the the the the",
    "llama",
    "Llama",
    "Zut alors!",
    "日本の山を歩くラマ。",
    "日本の山を飛ぶコンドル。",
)


def oracle(a, b):
    spaced = [" ".join(pieces(text)) for text in (a, b)]
    told = sacrebleu.sentence_bleu(
        spaced[0], [spaced[1]], smooth_method="exp", tokenize="none", use_effective_order=True
    )
    return told.score / 100


def made_up(seed, n, length):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, length))) for _ in range(n)]


@pytest.mark.parametrize("a", TEXTS)
def test_bleu_is_that_of_sacrebleu(a):
    for b in TEXTS:
        assert bleu(a, b) == pytest.approx(oracle(a, b), abs=1e-12), (a, b)


def test_bleu_is_that_of_sacrebleu_on_random_texts():
    texts = made_up(1, 30, 25)
    for a, b in itertools.pairwise(texts):
        assert bleu(a, b) == pytest.approx(oracle(a, b), abs=1e-12), (a, b)


def test_pairwise_bleu_is_the_mean_of_both_directions():
    texts = made_up(2, 12, 12)
    found = pairwise_bleu(texts)
    assert found.shape == (12, 12)
    assert found.dtype == np.float64
    assert np.array_equal(found, found.T)
    assert np.array_equal(np.diag(found), np.ones(12))
    for i in range(12):
        for j in range(i):
            assert found[i, j] == pytest.approx((oracle(texts[i], texts[j]) + oracle(texts[j], texts[i])) / 2)


def test_texts_without_a_word():
    assert bleu("", "") == bleu("", " \n") == bleu(" ", "") == 1
    assert bleu("", "a llama") == bleu("a llama", "") == 0
    assert pairwise_bleu(["", "a", ""]).tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert pairwise_bleu([]).shape == (0, 0)


def test_diversity_of_equal_texts_is_none_and_of_texts_with_nothing_in_common_all():
    assert diversity(pairwise_bleu(["A llama sang."] * 5)) == pytest.approx(0)
    assert diversity(pairwise_bleu(["one two", "three four", "five six"])) == 1
    half = diversity(pairwise_bleu(["one two", "one two", "five six"]))
    assert half == pytest.approx(2 / 3)


@pytest.mark.parametrize("n", [0, 1])
def test_diversity_needs_two_texts(n):
    with pytest.raises(InputError, match=f"at least two outputs to compare, not {n}"):
        diversity(pairwise_bleu(["a"] * n))


def test_64_texts_of_200_words_take_less_than_a_second():
    draw = random.Random(3)
    texts = [" ".join(draw.choices(WORDS, k=200)) for _ in range(64)]
    began = time.process_time()
    pairwise_bleu(texts)
    assert time.process_time() - began < 1


def test_words_and_punctuation():
    assert pieces("Don’t stop: I'm here-now!") == ["Don’t", "stop", ":", "I'm", "here", "-", "now", "!"]
    assert words("Don’t stop: I'm here-now!") == ["Don’t", "stop", "I'm", "here", "now"]
    assert pieces("a日本b 🙂") == ["a", "日", "本", "b", "🙂"]
    assert words("🙂 3_000 ...") == ["3_000"]

"""What each measure says of an output, where it says nothing, and that declared scores stand beside the measures."""

import gzip
import math
import re
from pathlib import Path

import pytest

from puna.errors import InputError
from puna.experiments.checks import KINDS
from puna.experiments.measures import MEASURES, compressibility, distinct, entropy, measures_of
from puna.experiments.plan import Check
from puna.generation import Timing, Usage
from tests.experiments.rows_of import cell_of, failed_row, row_of, token


def of(name, row):
    return MEASURES[name].of(row)


def test_every_measure_is_named_and_explained():
    assert all(name == measure.name and measure.meaning for name, measure in MEASURES.items())
    assert {name for name, measure in MEASURES.items() if measure.needs_logprobs} == {
        "mean_logprob",
        "entropy",
        "perplexity",
    }
    assert {name for name, measure in MEASURES.items() if measure.share} == {"cut_off", "abstains"}


@pytest.mark.parametrize("name", list(MEASURES))
def test_a_failed_trial_has_no_measure(name):
    assert of(name, failed_row(logprobs=(token(-1.0, -0.5),))) is None


EMPTY = {"tokens": 1, "words": 0, "characters": 0, "cut_off": 0, "latency": 2, "abstains": 0}


@pytest.mark.parametrize("name", list(MEASURES))
def test_an_empty_output_has_a_length_and_no_variety(name):
    row = row_of("", first=None, usage=Usage(10, 0, 1), logprobs=())
    assert of(name, row) == EMPTY.get(name)


def test_lengths():
    row = row_of("The llama's song, 日本!")
    assert of("tokens", row) == 4
    assert of("words", row) == 5
    assert of("characters", row) == 21
    assert of("tokens", row_of(usage=None)) is None


def test_distinct_n_counts_different_runs_of_words():
    assert distinct("a b a b a", 1) == 2 / 5
    assert distinct("a b a b a", 2) == 2 / 4
    assert distinct("a b a b a", 3) == 2 / 3
    assert distinct("a b", 3) is None
    assert [of(f"distinct_{n}", row_of("a b a b a")) for n in (1, 2, 3)] == [2 / 5, 2 / 4, 2 / 3]


def test_repetition_is_the_share_of_runs_of_four_words_that_stood_before():
    assert of("repetition", row_of("one two three four five")) == 0
    assert of("repetition", row_of("go on " * 10)) == 1 - 2 / 17
    assert of("repetition", row_of("one two three")) is None


def test_compressibility_is_gzips_less_its_header():
    text = "The llama sang over the hill and far away. " * 3
    header = 18
    assert compressibility(text) == pytest.approx(len(text) / (len(gzip.compress(text.encode())) - header), rel=0.03)
    found = [compressibility(other) or 0 for other in ("The llama sang.", text, text * 10)]
    assert found == sorted(found)
    assert 0 < found[0] < 1
    assert compressibility("") is None
    assert compressibility("\ud800") is not None


def test_likelihood_per_token():
    row = row_of(logprobs=(token(-1.0), token(-3.0)))
    assert of("mean_logprob", row) == -2
    assert of("perplexity", row) == pytest.approx(math.exp(2))
    assert of("entropy", row) is None
    assert of("mean_logprob", row_of()) is None


def test_entropy_counts_what_is_left_as_one_token():
    half = math.log(0.5)
    assert entropy(token(half, half, half)) == pytest.approx(math.log(2))
    assert entropy(token(half, half)) == pytest.approx(math.log(2))
    # The chosen token is known also where it is none of the alternatives.
    quarter = math.log(0.25)
    assert entropy(token(quarter, half)) == pytest.approx(1.5 * math.log(2))
    assert entropy(token(0.0, 0.0)) == 0
    assert entropy(token(-103.0, 0.0)) == pytest.approx(0, abs=1e-40)
    assert of("entropy", row_of(logprobs=(token(half, half), token(0.0, 0.0)))) == pytest.approx(math.log(2) / 2)


def test_entropy_is_never_more_than_the_true_one():
    likely = [0.4, 0.3, 0.2, 0.06, 0.04]
    true = -sum(p * math.log(p) for p in likely)
    found = [entropy(token(math.log(0.4), *map(math.log, likely[:k]))) or 0 for k in range(1, 6)]
    assert found == sorted(found)
    assert found[-1] == pytest.approx(true)


def test_times():
    row = row_of()
    assert (of("latency", row), of("first_token", row)) == (2, 0.5)
    assert of("tokens_per_second", row) == 3 / 1.5
    assert of("tokens_per_second", row_of(timing=Timing(), seconds=3.5)) == 1
    assert of("tokens_per_second", row_of(usage=Usage(10, 0, 1))) is None
    assert of("tokens_per_second", row_of(timing=Timing(), first=None)) is None


@pytest.mark.parametrize(("finish", "cut"), [("stop", 0), ("length", 1), ("unknown", None), (None, None)])
def test_whether_an_output_was_cut_off(finish, cut):
    assert of("cut_off", row_of(finish=finish)) == cut


def test_declared_scores_stand_beside_the_measures():
    found = measures_of([Check("llama in it", "contains", "llama"), Check("right", "exact", True)])
    assert list(found) == [*MEASURES, "llama in it", "right"]
    assert found["llama in it"].of(row_of("A Llama!")) == 1
    assert found["llama in it"].of(failed_row("A llama")) is None
    assert found["llama in it"].share
    assert found["right"].of(row_of("the 1889.", cell=cell_of(expected="1889"))) == 1
    assert found["right"].of(row_of("1889")) is None
    assert "'llama'" in found["llama in it"].meaning


def test_a_declared_score_takes_the_place_of_a_measure_of_its_name():
    found = measures_of([Check("words", "contains", "llama")])
    assert list(found) == list(MEASURES)
    assert found["words"].of(row_of("A llama sang.")) == 1


def test_a_bad_score_is_refused():
    with pytest.raises(InputError, match="unknown kind of score 'contain'. Did you mean 'contains'"):
        measures_of([Check("x", "contain", "llama")])


def test_the_page_has_every_measure_with_its_unit_and_every_kind_of_score():
    page = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")
    measures = re.findall(r"^\| `(\w+)` \| ([^|]*?) ?\| [^|]+ \|[^|]*\|$", page, re.MULTILINE)
    assert measures == [(name, measure.unit) for name, measure in MEASURES.items()]
    assert re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", page, re.MULTILINE) == list(KINDS)

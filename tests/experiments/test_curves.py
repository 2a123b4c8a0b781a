from dataclasses import replace

import pytest

from puna.errors import InputError
from puna.experiments.compare import DIVERSITY, comparisons, diversities
from puna.experiments.curves import curves, grouping, in_levels, matrix, readable, spread, varied
from puna.experiments.measures import MEASURES
from puna.experiments.plan import Check
from puna.experiments.quantities import number, p_value, quantities

from .made import CASES, SYSTEMS, plan_of, rows_of

TOKENS = MEASURES["tokens"]


@pytest.fixture(scope="module")
def rows():
    return rows_of(plan_of(), failing={(3, 1)})


def test_what_varies(rows):
    assert varied(rows) == ("temperature", "top_p", "case")
    assert varied(rows_of(plan_of(temperatures=(0.5,), top_ps=(1.0,), cases=CASES[:1], systems=SYSTEMS))) == ("system",)


def test_a_line_for_each_top_p(rows):
    by_temperature, by_top_p = curves(rows, DIVERSITY)
    assert (by_temperature.parameter, by_top_p.parameter) == ("temperature", "top_p")
    assert [line.name for line in by_temperature.lines] == ["top-p 0.7", "top-p 1"]
    for line in by_temperature.lines:
        assert [point.x for point in line.points] == [0, 0.4, 0.8, 1.2]
        means = [point.y.estimate for point in line.points]
        assert means[0] == 0
        assert means == sorted(means), "the toy language is more diverse with temperature"


def test_points_are_what_the_tables_tell(rows):
    line = curves(rows, DIVERSITY)[0].lines[1]
    mine = [row for row in rows if row.cell.sampling.top_p == 1.0]
    assert [point.y for point in line.points] == [each.mean for each in diversities(mine, "temperature")]


def test_one_parameter_after_another_makes_lines_of_what_belongs_together():
    """A point of another sweep is no line of its own, and joins the line that has all else in common."""
    variants = {
        "t0.2": {"temperature": 0.2, "top_p": 1},
        "t0.9": {"temperature": 0.9, "top_p": 1},
        "k5": {"temperature": 0.9, "top_p": 1, "top_k": 5},
        "off": {"temperature": 0.9, "top_p": 1, "top_k": 0},
    }
    by_temperature, by_top_k = curves(rows_of(plan_of(variants=variants, repeats=3)), TOKENS)
    assert [(line.name, [point.x for point in line.points]) for line in by_temperature.lines] == [("", [0.2, 0.9])]
    assert [(line.name, [point.x for point in line.points]) for line in by_top_k.lines] == [("", [0, 5, 50])]


def test_too_many_lines_are_means_and_say_so():
    rows = rows_of(plan_of(temperatures=(0.5, 1), top_ps=(0.2, 0.6, 1), systems=(*SYSTEMS, SYSTEMS[1].__class__("c", "C")), repeats=2))  # fmt: skip
    curve = curves(rows, TOKENS)[0]
    assert [line.name for line in curve.lines] == ["top-p 0.2", "top-p 0.6", "top-p 1"]
    assert curve.averaged == ("system",)


def test_a_line_is_called_by_its_name_once():
    systems = [SYSTEMS[0].__class__(name, text) for name, text in (("system 1", None), ("pirate", "P"))]
    (curve,) = curves(rows_of(plan_of(temperatures=(0.5, 1), top_ps=(1.0,), systems=systems, repeats=2)), TOKENS)
    assert [line.name for line in curve.lines] == ["system 1", "system pirate"]


def test_nothing_varies_no_curve():
    assert curves(rows_of(plan_of(temperatures=(0.5,), top_ps=(1.0,), repeats=2)), TOKENS) == ()


def test_levels_of_a_factor_without_a_scale(rows):
    found = in_levels(rows, TOKENS, "case")
    assert found is not None
    assert found.names == ("llama", "condor")
    assert in_levels(rows, TOKENS, "system") is None, "one level compares nothing"


def test_every_output_counts_in_a_spread_but_failed_ones(rows):
    found = spread(rows, TOKENS, "temperature")
    assert found is not None
    assert found.names == ("0", "0.4", "0.8", "1.2")
    assert [len(values) for values in found.values] == [24, 23, 24, 24]


def test_a_matrix_is_row_less_column(rows):
    told = comparisons(rows, MEASURES["mean_logprob"], "temperature")
    found = matrix(MEASURES["mean_logprob"], "temperature", told)
    assert found is not None
    first = next(each for each in told if (each.a.label, each.b.label) == ("0", "1.2"))
    assert first.difference is not None
    assert found.differences[3][0] == first.difference.estimate
    assert found.differences[0][3] == -first.difference.estimate
    assert found.significant[3][0] is found.significant[0][3] is first.significant is True
    unknown = [replace(each, difference=None) for each in told]
    assert matrix(TOKENS, "temperature", unknown) is None, "nothing is known, nothing is drawn"
    assert matrix(TOKENS, "case", comparisons(rows, TOKENS, "case")) is None, "two levels need no matrix"


def test_figures_without_a_scale_are_by_settings_while_they_are_few(rows):
    assert grouping(rows) == "setting"
    assert grouping(rows_of(plan_of(temperatures=(0, 0.2, 0.4, 0.6, 0.8, 1, 1.2), repeats=1))) == "temperature"


def test_measures_that_say_most(rows):
    checks = (Check("mentions a llama", "contains", "llama"),)
    assert [each.name for each in quantities((), checks, rows)] == [
        "diversity",
        "mean_logprob",
        "tokens",
        "mentions a llama",
    ]
    assert [each.name for each in quantities(("words", "diversity", "words"), (), rows)] == ["words", "diversity"]


def test_a_score_that_is_called_like_a_measure_hides_nothing(rows):
    """Files may not have such a name; stores of older ones do."""
    checks = (Check("tokens", "contains", "zzz"), Check("diversity", "contains", "the"))
    found = quantities((), checks, rows)
    assert [each.name for each in found] == [
        "diversity",
        "mean_logprob",
        "tokens",
        "tokens (score)",
        "diversity (score)",
    ]
    assert found[2] is TOKENS
    row = next(row for row in rows if row.ok)
    assert (found[3].of(row), found[4].of(row)) == (0, 1)
    assert quantities(("tokens (score)",), checks, rows)[0].share


def test_a_measure_that_there_is_not(rows):
    with pytest.raises(InputError, match="unknown measure 'token'. Did you mean 'tokens'?"):
        quantities(("token",), (), rows)


def test_a_measure_that_was_not_recorded(rows):
    bare = [replace(row, outcome=replace(row.outcome, logprobs=None)) for row in rows]
    assert [each.name for each in quantities((), (), bare)] == ["diversity", "tokens"]
    with pytest.raises(InputError, match=r"perplexity needs the log-probabilities .* `logprobs = 5` under \[record\]"):
        quantities(("perplexity",), (), bare)


def test_names_and_numbers_as_people_read_them():
    assert readable("top_p") == "top-p"
    assert readable("max_tokens") == "max tokens"
    assert [number(value) for value in (0, 0.5, -1.234, 39, 99.96, 123.4, 12345.6)] == [
        "0", "0.500", "-1.23", "39.0", "100", "123", "12,346",
    ]  # fmt: skip
    assert [p_value(p) for p in (None, 0.0004, 0.032, 1.0)] == ["-", "< 0.001", "0.032", "1.000"]

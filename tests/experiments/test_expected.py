"""Expectations as a file has them: what each table says, and the sentence that refuses it."""

import tomllib

import pytest

from puna.errors import InputError
from puna.experiments.expectations import Amount, Averages, Bounds, Differs, Holds, Likelier, Statistic
from puna.experiments.expected import expected_of
from puna.experiments.file import Given, Source
from puna.experiments.lines import lines
from puna.experiments.plan import Check

PARTS = ("low", "high")


def read(text, parts=PARTS):
    return expected_of(Given(tomllib.loads(text), (), Source("e.toml", lines=lines(text))), parts)


@pytest.mark.parametrize(
    ("text", "expectation", "check"),
    [
        ('contains = "1889"', Holds('contains "1889"'), Check('contains "1889"', "contains", "1889")),
        (
            'contains = ["a", "b"]\nat_least = 6',
            Holds('contains ["a", "b"]', amount=Amount(least=6)),
            Check('contains ["a", "b"]', "contains", ["a", "b"]),
        ),
        ("exact = true\nat_least = 0.5", Holds("exact", amount=Amount(least=0.5)), Check("exact", "exact", True)),
        (
            "abstains = false\nat_most = 2\nof = 'low'",
            Holds("abstains false", amount=Amount(most=2), of="low"),
            Check("abstains false", "abstains", False),
        ),
        (
            'f1 = "grey"\nat_least = 0.5\nin = 0.8',
            Holds('f1 "grey"', Bounds(low=0.5), Amount(least=0.8), check=False),
            Check('f1 "grey"', "f1", "grey"),
        ),
        ('measure = "cut_off"\nat_most = 0', Holds("cut_off", amount=Amount(most=0)), None),
        (
            'measure = "tokens"\nat_most = 60\nin = 5',
            Holds("tokens", Bounds(high=60), Amount(least=5), check=False),
            None,
        ),
        ('measure = "tokens"\nat_least = 2\nat_most = 60', Holds("tokens", Bounds(2, 60), check=False), None),
        (
            'measure = "words"\nat_most = 9\nstatistic = "median"',
            Averages("words", Bounds(high=9), Statistic.MEDIAN),
            None,
        ),
        (
            'measure = "diversity"\nof = "low"\nat_most = 0.2',
            Averages("diversity", Bounds(high=0.2), of="low"),
            None,
        ),
        (
            'measure = "diversity"\nof = "low"\nless_than = "high"\nalpha = 0.05',
            Differs("diversity", "low", "less", "high", 0.05),
            None,
        ),
        (
            'contains = "x"\nof = "high"\nmore_than = "low"',
            Differs('contains "x"', "high", "more", "low"),
            Check('contains "x"', "contains", "x"),
        ),
        ('continuation = "No."\nlikelier_than = "Yes."', Likelier("No.", ("Yes.",)), None),
        (
            'continuation = "No."\nlikelier_than = ["Yes.", "So."]\nby = "token"\nat_least = 1',
            Likelier("No.", ("Yes.", "So."), "token", Amount(least=1)),
            None,
        ),
    ],
)  # fmt: skip
def test_an_expectation_is_read(text, expectation, check):
    found = read(text)
    assert (found.expectation, found.check) == (expectation, check)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('contians = "x"', "e.toml, line 1: unknown key of an expectation 'contians'. Did you mean 'contains'?"),
        ('contains = "x"\nat_leest = 3', "e.toml, line 2: unknown key of an expectation 'at_leest'. Did you mean 'at_least'"),
        ("at_least = 3", "must have one score"),
        ('contains = "x"\nequals = "x"', "it has contains and equals"),
        ('measure = "token"\nat_most = 3', "Did you mean 'tokens'?"),
        ('regex = "("', "e.toml, line 1"),
        ('contains = ""', "none of them empty"),
        ('contains = "x"\nat_least = -1', "e.toml, line 2: at_least must be a whole number of outputs"),
        ('contains = "x"\nat_least = 1.5', "from 0.0 to 1.0, not 1.5"),
        ('contains = "x"\nat_least = true', "not true"),
        ('contains = "x"\nin = 3', "e.toml, line 2: in means nothing of a yes or no"),
        ('measure = "tokens"', "must have at_least or at_most"),
        ('measure = "tokens"\nat_most = "9"', "at_most must be a number"),
        ('measure = "tokens"\nat_least = 9\nat_most = 3', "at_least, which is 9, or more"),
        ('measure = "tokens"\nat_most = 3\nstatistic = "men"', "Did you mean 'mean'?"),
        ('measure = "tokens"\nat_most = 3\nstatistic = "mean"\nin = 3', "in means nothing of a mean or median"),
        ('measure = "diversity"\nat_most = 1\nin = 3', "in means nothing of diversity"),
        ('contains = "x"\nat_least = 0', "at_least = 0 is always so"),
        ('measure = "tokens"\nat_most = 3\nin = 0.0', "in = 0 is always so"),
        ('measure = "tokens"\nat_most = 3\nalpha = 0.1', "alpha means nothing of a score"),
        ('measure = "tokens"\nless_than = "low"', "of = NAME"),
        ('measure = "tokens"\nof = "lo"\nless_than = "high"', "e.toml, line 2: of: unknown variant, prompt or system"),
        ('measure = "tokens"\nof = "low"\nless_than = "low"', "compares 'low' with itself"),
        ('measure = "tokens"\nof = "low"\nless_than = "high"\nat_most = 3', "at_most means nothing of a comparison"),
        ('measure = "tokens"\nof = "low"\nless_than = "high"\nmore_than = "high"', "more_than means nothing"),
        ('measure = "tokens"\nof = "low"\nless_than = "high"\nalpha = 5', "alpha must be a number from 0.0001 to 0.5"),
        ('continuation = "x"', "must have likelier_than"),
        ('continuation = "x"\nlikelier_than = "x"', "names an answer twice"),
        ('continuation = "x"\nlikelier_than = []', "likelier_than is empty"),
        ('continuation = ""\nlikelier_than = "x"', "continuation must be a text that is not empty"),
        ('continuation = "x"\nlikelier_than = "y"\nby = "tokens"', "Did you mean 'token'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_line(text, part):
    with pytest.raises(InputError) as refused:
        read(text)
    assert part in str(refused.value)


def test_a_part_of_a_test_without_parts_is_refused():
    with pytest.raises(InputError, match="has no variants, prompts or system prompts"):
        read('contains = "x"\nof = "low"', ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('contains = "1889"', 'contains "1889"'),
        ('measure = "tokens"\nat_least = 2\nat_most = 60', "tokens 2 to 60"),
        ('measure = "words"\nat_most = 9\nstatistic = "mean"\nof = "low"', "low: mean words at most 9"),
        ('measure = "diversity"\nof = "low"\nless_than = "high"\nalpha = 0.05', "diversity: low less than high, p at most 0.05"),
        ('continuation = "No."\nlikelier_than = ["Yes.", "So."]\nby = "token"', '"No." likelier per token than "Yes." and "So."'),
    ],
)  # fmt: skip
def test_an_expectation_is_said_in_words(text, said):
    assert str(read(text).expectation) == said


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (Amount(least=1.0), "all 8"),
        (Amount(least=8), "all 8"),
        (Amount(least=0.7), "at least 6 of 8"),
        (Amount(most=0), "none of 8"),
        (Amount(most=0.5), "at most 4 of 8"),
        (Amount(least=2, most=4), "2 to 4 of 8"),
    ],
)
def test_an_amount_is_said_in_words(amount, said):
    assert amount.of(8) == said

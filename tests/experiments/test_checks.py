"""Each kind of score: what it holds right and wrong, and what values it refuses."""

import re
import urllib.request

import pytest

from puna.errors import InputError
from puna.experiments.checks import KINDS, check_of, f1, normalised, refuse_bad


def score(kind, value, output, expected=None):
    return check_of(kind, value)(output, expected)


@pytest.mark.parametrize(
    ("kind", "value", "right", "wrong"),
    [
        ("contains", "llama", ["A Llama sang.", "LLAMAS"], ["", "a condor"]),
        ("contains", ["llama", "hill"], ["The hill of the llama"], ["llama", "hill"]),
        ("contains", "Straße", ["STRASSE"], ["Strase"]),
        ("contains", "cafe\u0301", ["Caf\u00e9"], ["Cafe"]),
        ("contains", "(", ["a (b"], ["a b"]),
        ("contains_any", ["llama", "condor"], ["a llama", "Condors"], ["a puma", ""]),
        ("not_contains", ["llama", "condor"], ["a puma", ""], ["a llama", "Condors"]),
        ("regex", r"\b18\d\d\b", ["in 1889."], ["in 18890", ""]),
        ("regex", "(?i)^arr", ["ARRR!"], ["well, arrr"]),
        ("equals", "Paris", ["Paris", " Paris\n"], ["paris", "Paris."]),
        ("equals", ["yes", "no"], ["no"], ["maybe"]),
        ("exact", "The Eiffel Tower", ["eiffel tower!", "an  Eiffel\nTower"], ["tower", "Eiffel Towers", ""]),
        ("exact", ["1889", "in 1889"], ["In 1889."], ["1887"]),
        (
            "json_schema",
            True,
            ["{}", " [1]\n", "3", '"x"', "null"],
            ["", "{", "```json\n{}\n```", "NaN", "[" * 100_000, "9" * 5000],
        ),
        ("json_schema", {"type": "object", "required": ["name"]}, ['{"name": 1}'], ["{}", "[]", "name"]),
        ("json_schema", '{"type": "integer"}', ["3"], ["3.5", '"3"']),
        ("json_schema", {"$ref": "#/$defs/n", "$defs": {"n": {"enum": [1, 2]}}}, ["1"], ["3"]),
        (
            "json_schema",
            {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": True},
            ["2"],
            ["3"],
        ),
        ("abstains", True, ["I don't know."], ["It was built in 1889."]),
        ("abstains", False, ["It was built in 1889."], ["I don't know."]),
    ],
)
def test_what_a_score_holds_right_and_wrong(kind, value, right, wrong):
    assert [text for text in right if score(kind, value, text) != 1] == []
    assert [text for text in wrong if score(kind, value, text) != 0] == []


@pytest.mark.parametrize("kind", ["equals", "exact", "f1"])
def test_true_stands_for_the_right_answer_of_the_case(kind):
    assert score(kind, True, "1889", "1889") == 1
    assert score(kind, True, "1887", "1889") == 0
    assert score(kind, True, "1889", None) is None


# What evaluate-v1.1.py of SQuAD gives, worked by hand.
@pytest.mark.parametrize(
    ("said", "right", "value"),
    [
        ("the Eiffel Tower", "Eiffel Tower", 1),
        ("It was built in 1889.", "1889", 2 * (1 / 5) * 1 / (1 / 5 + 1)),
        ("a a b b", "b b b", 2 * 1 * (2 / 3) / (1 + 2 / 3)),
        ("Gustave Eiffel", "Alexandre Gustave Eiffel", 2 * 1 * (2 / 3) / (1 + 2 / 3)),
        ("nothing", "1889", 0),
        ("", "1889", 0),
        ("the", "1889", 0),
        ("The.", "a", 1),
    ],
)
def test_f1_is_that_of_squad(said, right, value):
    assert f1(said, right) == pytest.approx(value)
    assert score("f1", right, said) == pytest.approx(value)


def test_f1_counts_the_best_of_several_right_answers():
    assert score("f1", ["1889", "in 1889 or so"], "In 1889.") == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_normalised_as_squad():
    assert normalised("The  cat's, \n(an) APPLE-pie a") == "cats applepie"


BAD = [
    ("contains", "", "contains must be a text or a list of texts, none of them empty"),
    ("contains", [], "contains must be a text"),
    ("contains", ["a", ""], "none of them empty"),
    ("contains", 7, "not 7"),
    ("contains", True, "not True"),
    ("contains_any", None, "contains_any must be"),
    ("not_contains", [1], "not_contains must be"),
    ("regex", "(", "but '(' is none (missing ), unterminated subpattern at position 0)"),
    ("regex", "", "regex must be a regular expression as a text"),
    ("regex", ["a"], "regex must be a regular expression as a text"),
    ("regex", "a{99999999999999999999}", "regex must be a regular expression of Python"),
    ("equals", False, "or true for the case's `expected`, not False"),
    ("exact", None, "or true for the case's `expected`, not None"),
    ("exact", [], "exact must be a text or a list"),
    ("f1", 1889, "f1 must be a text or a list of texts"),
    ("json_schema", False, "or true for any JSON, not False"),
    ("json_schema", 3, "json_schema must be a JSON schema as a table"),
    ("json_schema", "[1]", "json_schema must be a JSON schema as a table"),
    ("json_schema", "{", "that is no JSON"),
    ("json_schema", "[" * 100_000, "that is no JSON"),
    ("json_schema", {"type": "objekt"}, "at the schema.type: 'objekt' is not valid"),
    ("json_schema", {"properties": {"a": {"pattern": "("}}}, "at the schema.properties.a.pattern"),
    ("json_schema", {"$ref": "#/$defs/none"}, "refers to '#/$defs/none', which is not in it, and nothing is fetched"),
    (
        "json_schema",
        {"items": [{"$ref": "https://example.com/x.json"}], "$schema": "http://json-schema.org/draft-07/schema#"},
        "nothing is fetched",
    ),
    ("abstains", "yes", "abstains must be true, or false"),
    ("contain", "x", "Did you mean 'contains'?"),
]


@pytest.mark.parametrize(("kind", "value", "sentence"), BAD)
def test_a_bad_value_is_refused_when_the_score_is_made(kind, value, sentence, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", None)
    with pytest.raises(InputError, match=re.escape(sentence)):
        refuse_bad(kind, value)


def test_every_kind_is_explained():
    assert all(name == kind.name and kind.meaning and kind.wants for name, kind in KINDS.items())
    assert [name for name, kind in KINDS.items() if not kind.share] == ["f1"]


def test_without_jsonschema_a_schema_is_refused_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jsonschema", None)
    with pytest.raises(InputError, match=re.escape("pip install 'puna[experiments]'")):
        refuse_bad("json_schema", True)

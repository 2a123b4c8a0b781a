"""The JUnit report: well-formed whatever a model wrote, with the counts and the order of elements that CI systems read."""

import string
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.experiments.junit import junit
from puna.experiments.stats import Interval
from puna.experiments.verdicts import Result, Verdict
from tests.experiments.rows_of import row_of

PASSED = Verdict(
    Result.PASSED, "9 of 10", "at least 8 of 10", held=9, of=10, share=True, interval=Interval(0.9, 0.596, 0.982), seconds=1.5,
    test="history", target="here", model="toy", expectation='contains "1889"',
)  # fmt: skip
FAILED = Verdict(
    Result.FAILED, "7 of 10", "all 10", held=7, of=10, share=True, example=row_of("I am Bob & <Bob>.", seed=3), seconds=0.25,
    test="persona", target="here", model="toy", expectation='contains "salt"',
)  # fmt: skip
ERROR = Verdict(
    Result.ERROR,
    "unknown",
    reason="2 of 3 trials: timeout",
    test="persona",
    target="there",
    expectation="mean words at most 5",
)


def failed(text):
    """A verdict that says nothing but this."""
    said = dict.fromkeys(("found", "wanted", "reason", "test", "target", "model", "expectation"), text)
    return Verdict(Result.FAILED, example=row_of(text), **said)


def read(*verdicts, name="the workshop"):
    data = junit(name, verdicts)
    assert data.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    return ET.fromstring(data)  # noqa: S314  # it was written here


def test_a_target_is_a_suite_and_an_expectation_a_case():
    root = read(PASSED, FAILED, ERROR)
    assert root.tag == "testsuites"
    assert root.attrib == {"name": "the workshop", "tests": "3", "failures": "1", "errors": "1", "time": "1.750"}
    here, there = root
    assert here.attrib == {
        "name": "the workshop on here (toy)", "tests": "2", "failures": "1", "errors": "0", "skipped": "0", "time": "1.750",
    }  # fmt: skip
    assert there.get("errors") == "1"
    assert here[0].attrib == {
        "classname": "history", "name": 'contains "1889" in at least 8 of 10', "time": "1.500",
    }  # fmt: skip
    assert [child.tag for child in here[0]] == ["system-out"]
    assert here[0][0].text == "9 of 10 (95 % interval 60 % to 98 %)"


def test_a_failure_and_an_error_stand_before_the_output_and_say_why():
    root = read(PASSED, FAILED, ERROR)
    failed, error = root[0][1], root[1][0]
    assert [child.tag for child in failed] == ["failure", "system-out"]
    assert failed[0].get("message") == "7 of 10"
    assert failed[0].text.endswith("(prompt story, seed 3):\nI am Bob & <Bob>.")
    assert [child.tag for child in error] == ["error", "system-out"]
    assert error[0].get("message") == "unknown: 2 of 3 trials: timeout"


@pytest.mark.parametrize("text", ["\x00\x1b[31mred\x1b[0m", "\ud800", "\ufffe\uffff", "]]>", "a\r\nb\tc", "🦙 é"])
def test_what_xml_cannot_carry_is_written_as_an_escape(text):
    case = read(failed(text), name=text)[0][0]
    assert case.find("failure") is not None
    if "\x1b" in text:
        assert r"\x00\x1b[31mred" in case.get("name")
    if "🦙" in text:
        assert "🦙 é" in case[0].text


@given(st.text(st.characters(categories=None), max_size=40))
def test_any_text_makes_a_well_formed_report(text):
    root = read(failed(text), name=text)
    kept = [letter for letter in text if letter in string.ascii_letters]
    assert [letter for letter in root[0][0].get("classname") if letter in kept][: len(kept)] or not kept

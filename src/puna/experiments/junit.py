"""Verdicts as a JUnit XML report, which CI systems read. Knows verdicts and XML; no row and no terminal.

There is no standard for it; this is what Jenkins, GitLab and GitHub's actions have in common: ``testsuites`` of ``testsuite`` (a target)
of ``testcase`` (an expectation; its ``classname`` is the test), which has a ``failure`` or an ``error`` where it did not pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from puna.experiments.verdicts import Result, Verdict

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry, not even escaped (its section 2.2): models write it all the same."""


def junit(name: str, verdicts: Sequence[Verdict]) -> bytes:
    """The report as UTF-8. name: of the file of expectations. Times are seconds of the trials behind an expectation."""
    root = Element("testsuites", {"name": _legal(name), **_counts(verdicts)})
    for target in dict.fromkeys(verdict.target for verdict in verdicts):
        own = [verdict for verdict in verdicts if verdict.target == target]
        suite = SubElement(
            root, "testsuite", {"name": _legal(f"{name} on {own[0].where}"), **_counts(own), "skipped": "0"}
        )
        for verdict in own:
            _case(suite, verdict)
    indent(root)
    data: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _counts(verdicts: Sequence[Verdict]) -> dict[str, str]:
    return {
        "tests": str(len(verdicts)),
        "failures": str(_count(verdicts, Result.FAILED)),
        "errors": str(_count(verdicts, Result.ERROR)),
        "time": f"{sum(verdict.seconds for verdict in verdicts):.3f}",
    }


def _count(verdicts: Iterable[Verdict], result: Result) -> int:
    return sum(verdict.result is result for verdict in verdicts)


def _case(suite: Element, verdict: Verdict) -> None:
    names = {"classname": _legal(verdict.test), "name": _legal(verdict.claim)}
    case = SubElement(suite, "testcase", {**names, "time": f"{verdict.seconds:.3f}"})
    if verdict.result is not Result.PASSED:
        kind = "failure" if verdict.result is Result.FAILED else "error"
        told = SubElement(case, kind, {"message": _legal(verdict.told), "type": kind})
        told.text = _legal(_detail(verdict))
    SubElement(case, "system-out").text = _legal(verdict.told)


def _detail(verdict: Verdict) -> str:
    row = verdict.example
    if row is None:
        return verdict.told
    return f"{verdict.told}\n\nAn output that falls short (prompt {row.cell.prompt}, seed {row.seed}):\n{row.output}"


def _legal(text: str) -> str:
    """The text with what XML cannot carry written as Python escapes."""
    return _FORBIDDEN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)

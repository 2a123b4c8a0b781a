"""The report's page in a real browser: it asks nobody for anything, everyone can use it, and what an output says stays text."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from puna.experiments import report
from puna.experiments.gallery import gallery
from puna.experiments.page import page
from puna.experiments.sections import shown
from puna.experiments.store import Store
from tests.playground.browser import chromium, missing, running

from . import made

HOSTILE = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">"\'&amp; \x00\x1b[31m \u202e'


def spoilt(rows):
    """An output and a name that would be markup."""
    rows = list(rows)
    cell = replace(rows[-1].cell, variant=HOSTILE)
    rows[-1] = replace(rows[-1], cell=cell, outcome=replace(rows[-1].outcome, output=HOSTILE))
    return tuple(rows)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    plan = made.plan_of(temperatures=(0, 1.2), top_ps=(1.0,), systems=made.SYSTEMS, repeats=3)
    with Store.open(tmp_path_factory.mktemp("page") / "runs.db") as store:
        made.fill(store, plan, failing={(1, 2)}, distributions=(1,))
        return report.read(store, measures=("diversity", "tokens"))


@pytest.fixture(scope="module")
def file(told, tmp_path_factory):
    """The page, with a hostile output."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(replace(told, rows=spoilt(told.rows)), gallery(told)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def _browser():
    why = missing()
    if why:
        pytest.skip(why)
    with chromium() as (browser, loop), running(None):
        yield browser, loop


@pytest.fixture
def opened(_browser):
    """Opens a file; at the end nothing was asked of anybody, and nothing was complained of."""
    browser, loop = _browser
    with running(loop):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        tab = context.new_page()
        asked: list[str] = []
        said: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: said.append(message.text[:300]))
        tab.on("pageerror", lambda error: said.append(str(error)))

        def opened(path: Path):
            tab.goto(path.as_uri())
            return tab

        yield opened
        context.close()
        assert [url for url in asked if not url.startswith("file:")] == []
        assert said == []


def axe(tab):
    spec = find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-playwright-python is not installed; pip install --group dev")
    # By the debugger, since the page's own policy allows no other script.
    tab.evaluate(Path(spec.origin).with_name("axe.min.js").read_text())
    found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [(rule["id"], node["html"][:160], node["failureSummary"][:300]) for rule in found["violations"] for node in rule["nodes"]]  # fmt: skip


def visible(tab):
    return tab.locator(".answer:visible").count()


def test_it_names_no_other_place(file):
    text = file.read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', text.replace('xlink:href="#', "")) == []
    assert "default-src 'none'" in text
    assert "unsafe" not in text


def test_what_an_output_says_stays_text(opened, file):
    tab = opened(file)
    assert tab.evaluate("window.hacked") is None
    last = tab.locator(".answer pre").last.text_content()
    assert last == HOSTILE.replace("\x00", "\u2400").replace("\x1b", "\u241b")
    assert tab.locator(".cell h3").count() == len(tab.locator(".cell").all())


def test_controls_and_lone_surrogates_can_be_written():
    assert shown("a\x00\x08\x7f\ud800\n\t<") == "a\u2400\u2408\ufffd\ufffd\n\t&lt;"
    shown("\ud800").encode("utf-8")


def test_axe_finds_nothing(opened, file):
    tab = opened(file)
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        for width in (1280, 390):
            tab.set_viewport_size({"width": width, "height": 900})
            for details in tab.locator("details").all():
                details.evaluate("element => { element.open = true }")
            assert axe(tab) == [], f"{scheme} {width}"
            assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_every_output_is_there_without_the_script(file, told):
    text = file.read_text(encoding="utf-8")
    for row in told.rows[:-1]:
        assert shown(row.output) in text
    for prompt in told.prompts.values():
        assert shown(prompt) in text


def test_outputs_are_filtered(opened, file, told):
    from playwright.sync_api import expect  # where there is none, the test is skipped before

    tab = opened(file)
    everything = visible(tab)
    status = tab.locator("#count")
    assert status.text_content() == f"{len(told.rows)} of {len(told.rows)} outputs"
    tab.select_option("select[name=case]", "condor")
    tab.select_option("select[name=system]", "pirate")
    assert tab.locator(".cell:visible").count() == 2
    tab.click("#all")
    tab.check("#failed")
    assert (visible(tab), status.text_content()) == (1, f"1 of {len(told.rows)} outputs")
    assert "timeout: no answer within 300 s" in tab.locator(".answer:visible").inner_text()
    tab.click("#all")
    assert visible(tab) == everything
    word = told.rows[0].output.split()[0]
    tab.fill("#search", f"  {word.upper()} ")
    expect(status).not_to_have_text(f"{len(told.rows)} of {len(told.rows)} outputs")
    for answer in tab.locator(".answer:visible pre").all():
        assert word in answer.inner_text()
    assert tab.evaluate("CSS.highlights.get('found').size") > 0
    tab.fill("#search", "no such text")
    expect(status).to_have_text(f"0 of {len(told.rows)} outputs")


def test_outputs_are_compared_with_a_chosen_one(opened, file):
    tab = opened(file)
    cell = tab.locator(".cell").nth(1)
    texts = [place.text_content() for place in cell.locator("pre:not(.prompt)").all()]
    button = cell.locator(".compare").first
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    second = cell.locator(".answer pre").nth(1)
    without = second.evaluate(
        "n => [...n.childNodes].filter(c => c.nodeName !== 'DEL').map(c => c.textContent).join('')"
    )
    base = second.evaluate("n => [...n.childNodes].filter(c => c.nodeName !== 'INS').map(c => c.textContent).join('')")
    assert (without, base) == (texts[1], texts[0])
    assert second.locator("ins").count() > 0
    button.click()
    assert [place.text_content() for place in cell.locator("pre:not(.prompt)").all()] == texts
    assert cell.locator("ins, del").count() == 0


def test_two_thousand_outputs_are_quick(opened, told, tmp_path):
    """Of 200 words each; filtering them all takes less than half a second, on two busy cores."""
    words = " ".join(f"word{n}" for n in range(198))
    row = told.rows[-1]
    rows = []
    for n in range(2000):
        cell = replace(row.cell, index=n // 8, variant=f"temperature={n // 8}")
        rows.append(replace(row, cell=cell, repeat=n % 8, seed=n % 8, outcome=replace(row.outcome, output=f"{n} {words} end{n % 3}")))  # fmt: skip
    path = tmp_path / "large.html"
    text = page(replace(told, rows=tuple(rows)), ())
    path.write_text(text, encoding="utf-8")
    start = time.monotonic()
    tab = opened(path)
    assert tab.locator(".answer").count() == 2000
    assert time.monotonic() - start < 10
    took = tab.evaluate(
        "() => { search.value = 'end1'; const start = performance.now(); filter(); return performance.now() - start }"
    )
    assert tab.locator("#count").text_content() == "667 of 2000 outputs"
    assert took < 500

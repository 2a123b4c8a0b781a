"""For everyone: axe in every state, theme and width; and what must not depend on colour, motion or a mouse. Check 4."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .states import STATES, inside, panel

WIDTHS = {"1440": {"width": 1440, "height": 900}, "390": {"width": 390, "height": 844}}
ALL = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
"""What another theme can change."""


def axe(playground, rules):
    """What axe-core finds: rule, where, and what is wrong."""
    spec = find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-playwright-python is not installed; pip install --group dev")
    page = playground.page
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(Path(spec.origin).with_name("axe.min.js").read_text())
    found = page.evaluate("rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", rules)
    return [
        (rule["id"], node["html"][:160], node["failureSummary"][:300])
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_check_4_axe_finds_nothing(page_of, state):
    playground = page_of(WIDTHS["1440"])
    state(playground)
    for width, size in WIDTHS.items():
        playground.page.set_viewport_size(size)
        for name in ("#setup", "#anatomy-panel"):
            panel(playground, name)
        for scheme, rules in (("light", ALL), ("dark", COLOURS)):
            playground.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = axe(playground, rules)
            assert not found, f"{width}, {scheme}: {json.dumps(found, indent=1)}"
        inside(playground)


def test_landmarks_and_headings(playground):
    page = playground.page
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    for role, name in (
        ("banner", None),
        ("main", None),
        ("complementary", "Setup"),
        ("complementary", "Prompt anatomy"),
        ("navigation", None),
    ):
        expect(page.get_by_role(role, name=name) if name else page.get_by_role(role)).to_have_count(1)
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title()


def test_probability_and_roles_are_not_told_by_colour_alone(served, opened):
    playground = opened(served, forced_colors="active")
    playground.params(seed=7, temperature=1)
    reply = playground.send("Tell me a story")
    underlined = reply.locator("[data-i]").evaluate_all(
        "spans => spans.filter(span => getComputedStyle(span).textDecorationLine.includes('underline')).length"
    )
    assert underlined > 0
    marker = playground.page.locator("#anatomy .anatomy-tokens [data-kind='marker']").first
    expect(marker).to_have_css("font-weight", re.compile("[789]00"))  # it is drawn anew when the reply is whole
    playground.page.locator("#anatomy [data-i]").first.hover()
    expect(playground.page.locator(".anatomy-popover:popover-open")).to_contain_text("marker")


def test_nothing_moves_where_less_motion_is_wanted(served, opened):
    playground = opened(served, reduced_motion="reduce")
    playground.send("Tell me a story")
    moving = playground.page.evaluate("""[...document.querySelectorAll('*')].filter(e => {
      const s = getComputedStyle(e);
      return s.transitionDuration.split(',').some(t => parseFloat(t) > 0.01) || (s.animationName !== 'none' && parseFloat(s.animationDuration) > 0.01) || s.scrollBehavior === 'smooth';
    }).map(e => e.outerHTML.slice(0, 80))""")
    assert not moving


def test_streamed_text_is_not_read_out_token_by_token(playground):
    playground.served.engine.script.hold = 5
    playground.start("Tell me a story")
    expect(playground.replies.last.locator("[data-i]")).to_have_count(5)
    live = "e => Boolean(e.closest('[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log]'))"
    assert not playground.replies.last.locator("[data-i]").first.evaluate(live)
    assert not playground.status.evaluate(live)
    playground.served.engine.release()
    playground.finished()
    expect(playground.page.locator("#polite")).to_have_text("Reply finished, 40 tokens")


def test_dialogs_take_the_focus_and_give_it_back(playground):
    for name in ("Sessions", "Export", "Keyboard shortcuts"):
        playground.button(name).focus()
        playground.page.keyboard.press("Enter")
        expect(playground.page.get_by_role("dialog", name=name)).to_be_visible()
        assert playground.page.evaluate("document.activeElement.closest('dialog') !== null")
        playground.page.keyboard.press("Escape")
        expect(playground.page.get_by_role("dialog")).to_be_hidden()
        expect(playground.button(name)).to_be_focused()


def test_the_focus_is_seen(playground):
    page = playground.page
    page.locator("body").click(position={"x": 5, "y": 5})
    thin = []
    for _ in range(40):
        page.keyboard.press("Tab")
        told = page.evaluate("""() => {
          const e = document.activeElement;
          if (!e || e === document.body) return null;
          const s = getComputedStyle(e);
          const ring = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
          return ring ? null : e.outerHTML.slice(0, 100);
        }""")
        if told:
            thin.append(told)
    assert not thin, thin

"""Probabilities of a reply: heat, alternatives, and going on from one of them. Checks 17 and 18's keyboard side."""

from __future__ import annotations

import json
import math
import re

import pytest
from playwright.sync_api import expect

from .storyteller import ordered

TIP = ".token-popover:popover-open"


@pytest.fixture
def reply(playground):
    playground.params(seed=7)
    return playground.send("Tell me a story")


def tokens_of(playground):
    """What the server streamed for the first request, asked for again with the same seed."""
    body = playground.posts("/api/generate")[0]
    again = {**body, "params": {**body["params"], "seed": 7}}
    lines = playground.served.http.post("/api/generate", json=again).text.splitlines()
    return [record for record in map(json.loads, lines) if record["type"] == "tok"]


def outside(token, most):
    """Whether a token was drawn that is none of the likeliest so many."""
    return token["id"] not in [number for number, *_ in token["top"][:most]]


def check_tip(playground, reply, token):
    """The popover of a token tells what the server said of it."""
    reply.locator(f"[data-i='{token['i']}']").hover()
    tip = playground.page.locator(TIP)
    expect(tip).to_contain_text(f"position {token['i']}")
    expect(tip).to_contain_text(f"id {token['id']}")
    rows = tip.locator(".token-row")
    expect(rows).to_have_count(5)
    shares = [float(share) for share in re.findall(r"([\d.]+) %", " ".join(rows.all_inner_texts()))]
    assert len(shares) == 5
    assert ordered(shares)
    chosen = tip.locator("[data-chosen]")
    expect(chosen).to_have_count(1)
    expect(chosen).to_contain_text(f"{100 * math.exp(token['lp']):.1f} %")
    expect(chosen).to_contain_text("chosen")
    (shown,) = re.findall(r"shown: ([\d.]+) %", tip.inner_text())
    assert abs(float(shown) - sum(shares)) < 0.4


def test_check_17_a_token_shows_its_alternatives(playground, reply):
    tokens = [token for token in tokens_of(playground) if token["t"].strip()]
    for token in (*tokens[:3], next(token for token in tokens if outside(token, 5)), tokens[-1]):
        check_tip(playground, reply, token)


def test_check_17_a_token_that_is_none_of_the_alternatives_is_marked_too(playground):
    playground.served.engine.script.text = "The quick brown fox jumps over the lazy dog. " * 8
    playground.params(seed=7)
    reply = playground.send("Tell me a story")
    check_tip(playground, reply, next(token for token in tokens_of(playground) if outside(token, 10)))


def test_check_17_the_toggle_hides_the_heat_and_leaves_the_text(playground, reply):
    text = playground.text(reply)
    colours = "spans => [...new Set(spans.map(span => getComputedStyle(span).backgroundColor))]"
    lines = "spans => spans.filter(span => getComputedStyle(span).textDecorationLine.includes('underline')).length"
    spans = reply.locator("[data-i]")
    assert len(spans.evaluate_all(colours)) >= 4
    assert spans.evaluate_all(lines) > 0
    unlikely = [token["i"] for token in tokens_of(playground) if math.exp(token["lp"]) < 0.2]
    assert (
        spans.evaluate_all(
            "spans => spans.filter(span => getComputedStyle(span).textDecorationLine.includes('underline')).map(span => Number(span.dataset.i))"
        )
        == unlikely
    )
    playground.page.get_by_role("checkbox", name="Probabilities").uncheck()
    assert len(spans.evaluate_all(colours)) == 1
    assert spans.evaluate_all(lines) == 0
    assert playground.text(reply) == text
    playground.page.get_by_role("checkbox", name="Probabilities").check()
    assert len(spans.evaluate_all(colours)) >= 4


def test_check_17_it_works_by_keyboard_with_one_tab_stop(playground, reply):
    page = playground.page
    stops = reply.locator(".token-view [tabindex='0']")
    expect(stops).to_have_count(1)
    stops.focus()
    tip = page.locator(TIP)
    expect(tip).to_contain_text("position 0")
    page.keyboard.press("ArrowRight")
    expect(tip).to_contain_text("position 1")
    page.keyboard.press("End")
    expect(tip).to_contain_text("position 39")
    page.keyboard.press("Home")
    expect(tip).to_contain_text("position 0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(tip.get_by_role("button").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(tip.get_by_role("button").nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(tip).to_have_count(0)
    expect(reply.locator("[data-i='1']")).to_be_focused()


def test_a_click_on_an_alternative_makes_a_branch_that_starts_with_exactly_that_token(playground, reply):
    for versions, place in enumerate((0, 5, 39), 2):
        branched(playground, reply, place, versions)


def branched(playground, reply, place, versions):
    old, first = playground.text(reply), tokens_of(playground)
    other = next(entry for entry in first[place]["top"] if entry[0] != first[place]["id"])
    reply.locator(f"[data-i='{place}']").hover()
    tip = playground.page.locator(TIP)
    expect(tip).to_contain_text(f"position {place}")
    before = len(playground.ledger.asked)
    tip.get_by_role("button", name=re.compile("Continue from here with this token")).and_(
        tip.locator(f"[title='id {other[0]}']")
    ).click()
    playground.until(lambda: len(playground.ledger.asked) > before)
    branch = playground.finished()
    asked = playground.ledger.last
    begun = [token["id"] for token in first[:place]] + [other[0]]
    assert list(asked.prompt.ids[-len(begun) :]) == begun, "the model did not go on after exactly these tokens"
    assert asked.prompt.text.endswith("".join(token["t"] for token in first[:place]) + other[1])
    playground.until(
        lambda: playground.text(branch),
        lambda text: text.startswith("".join(token["t"] for token in first[:place]) + other[1]),
    )
    expect(branch.locator("[data-i]")).to_have_count(len(begun) + 40)
    expect(branch).to_contain_text(f"{versions} / {versions}")
    for _ in range(versions - 1):
        playground.button("Previous version", playground.replies.last).click()
    assert playground.text(playground.replies.last) == old


def test_a_branch_from_inside_a_character_of_several_tokens_keeps_its_bytes(playground):
    playground.served.engine.script.text = "Hi 🦙 there"
    reply = playground.send("Emoji, please")
    tokens = playground.served.engine.words.encode("Hi 🦙 there")
    playground.served.engine.script.text = None
    last = len(tokens) - 1
    reply.locator(f"[data-i='{last}']").hover()
    tip = playground.page.locator(TIP)
    expect(tip).to_contain_text(f"position {last}")
    tip.get_by_role("button", name=re.compile("Continue from here")).and_(
        playground.page.locator(":not([data-chosen])")
    ).first.click()
    expect(playground.replies.last).to_contain_text("2 / 2")
    branch = playground.finished()
    assert list(playground.ledger.last.prompt.ids[-len(tokens) : -1]) == tokens[:-1]
    assert playground.text(branch).startswith("Hi 🦙")


def test_continue_goes_on_after_exactly_the_tokens_of_the_reply(playground):
    """Greedy and with a memory, so the whole is what one long reply would have been."""
    playground.params(max_tokens=10, temperature=0)
    playground.served.engine.script.length = 1000
    reply = playground.send("Tell me a story")
    expect(reply).to_contain_text("cut at Max tokens (10)")
    begun = playground.ledger.last.prompt.ids
    first = playground.text(reply)
    playground.act("Continue", reply)
    longer = playground.text(playground.replies.last)
    assert longer.startswith(first)
    ids = playground.ledger.last.prompt.ids
    assert ids[: len(begun)] == begun
    assert len(ids) == len(begun) + 10
    playground.params(max_tokens=20)
    playground.act("Regenerate", playground.replies.last)
    assert playground.text(playground.replies.last) == longer


def test_an_engine_that_tells_no_alternatives_is_no_error(playground):
    """As a saved reply: its alternatives are not kept (rule R10), its probabilities are."""
    playground.send("Tell me a story")
    playground.until(playground.served.sessions)
    playground.until(lambda: playground.served.saved(playground.served.sessions()[0]["id"])["nodes"][-1].get("finish"))
    playground.reload()
    reply = playground.replies.last
    reply.locator("[data-i='3']").hover()
    tip = playground.page.locator(TIP)
    expect(tip).to_contain_text("position 3")
    expect(tip.locator(".token-row")).to_have_count(1)
    expect(tip.locator("[data-chosen]")).to_have_count(1)


def test_text_that_moves_under_a_resting_pointer_opens_nothing(playground):
    playground.params(max_tokens=150)
    playground.served.engine.script.length = 1000
    reply = playground.send("Tell me a story")
    playground.act("Continue", reply.locator(".message-foot"))
    expect(playground.replies.last.locator("[data-i]")).to_have_count(300)
    playground.page.wait_for_timeout(400)  # longer than any delay of the popover
    expect(playground.page.locator(TIP)).to_have_count(0)

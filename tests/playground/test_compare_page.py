"""Compare: several settings, one request. Checks 14 and 25."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect


@pytest.fixture
def compare(playground):
    playground.mode("Compare")
    return playground


def pane(playground, letter):
    return playground.page.get_by_role("region", name=letter, exact=True)


def text(playground, letter):
    return playground.text(pane(playground, letter))


def add(playground, **values):
    """One more pane, which differs in these parameters."""
    playground.button("Add pane").click()
    form = playground.page.get_by_role("dialog", name=re.compile("^Settings of pane"))
    for label, value in values.items():
        form.get_by_role("spinbutton", name=label.replace("_", " "), exact=True).fill(str(value))
    form.get_by_role("button", name="Done").click()
    expect(form).to_be_hidden()


def run(playground, message):
    before = len(playground.ledger.asked)
    playground.message.fill(message)
    playground.button("Run all").click()
    playground.until(lambda: len(playground.ledger.asked) > before)


def finished(playground):
    expect(playground.button("Run all")).to_be_visible(timeout=15_000)


def test_check_14_four_panes_share_one_request_and_show_everything_in_order(compare):
    """How late they are is measured by benchmarks/ui.py."""
    compare.params(max_tokens=300, seed=5)
    compare.served.engine.script.length = 300
    for value in (0.3, 1.2):
        add(compare, Temperature=value)
    run(compare, "Tell me a story")
    finished(compare)
    assert len(compare.posts("/api/compare")) == 1
    assert not compare.posts("/api/generate")
    told = {}
    for letter in "ABCD":
        spans = pane(compare, letter).locator("[data-i]")
        expect(spans).to_have_count(300)
        assert spans.evaluate_all("spans => spans.map(span => Number(span.dataset.i))") == list(range(300))
        told[letter] = text(compare, letter)
    assert len(set(told.values())) == 4
    temperatures = [params["temperature"] for params in compare.posts("/api/compare")[0]["panes"]]
    assert sorted(entry.sampling.temperature for entry in compare.ledger.asked) == sorted(temperatures)
    assert {entry.sampling.seed for entry in compare.ledger.asked} == {5}


def test_check_14_every_pane_is_what_chat_gives_with_its_settings(compare):
    compare.params(seed=5)
    run(compare, "Tell me a story")
    finished(compare)
    for letter, params in zip("AB", compare.posts("/api/compare")[0]["panes"], strict=True):
        body = {**compare.posts("/api/compare")[0], "params": params}
        del body["panes"]
        answer = compare.served.http.post("/api/generate", json=body).text
        assert text(compare, letter) == "".join(re.findall(r'"t":"([^"]*)","lp"', answer)).replace("\\n", "\n")


def test_panes_are_headed_by_what_they_differ_in(compare):
    expect(pane(compare, "A").get_by_role("heading")).to_contain_text("A · Temperature 0.1")
    expect(pane(compare, "B").get_by_role("heading")).to_contain_text("B · Temperature 0.9")
    add(compare, Temperature=0.9, **{"Top-p": 0.5})
    expect(pane(compare, "C").get_by_role("heading")).to_contain_text("Top-p 0.5")
    compare.button("Remove pane B").click()
    expect(pane(compare, "B").get_by_role("heading")).to_contain_text("Top-p 0.5")
    expect(pane(compare, "C")).to_have_count(0)
    for _ in range(2):
        add(compare)
    expect(compare.button("Add pane")).to_be_disabled()


def test_check_25_a_pane_that_fails_leaves_the_others_running(compare):
    script = compare.served.engine.script
    script.failing, script.fail_after, script.hold = 0.1, 5, 20
    run(compare, "Tell me a story")
    expect(pane(compare, "A").get_by_role("alert")).to_contain_text("fails after 5 tokens")
    expect(pane(compare, "B").locator("[data-i]")).to_have_count(20)
    expect(pane(compare, "A").locator("[data-i]")).to_have_count(5)
    compare.served.engine.release()
    finished(compare)
    expect(pane(compare, "B").locator("[data-i]")).to_have_count(40)
    expect(pane(compare, "B")).to_contain_text("finished")


def test_check_25_a_pane_whose_settings_are_refused_leaves_the_others_alone(serve, opened):
    playground = opened(serve(context=200))
    playground.params(max_tokens=40)
    playground.mode("Compare")
    pane(playground, "B").get_by_role("button", name="Edit settings").click()
    form = playground.page.get_by_role("dialog", name=re.compile("^Settings of pane"))
    form.get_by_role("spinbutton", name="Temperature").fill("0.0001")
    form.get_by_role("button", name="Done").click()
    run(playground, "Tell me a story")
    finished(playground)
    expect(pane(playground, "B").get_by_role("alert")).to_contain_text("temperature")
    expect(pane(playground, "A").locator("[data-i]")).to_have_count(40)


def test_check_25_use_copies_settings_and_reply_to_the_chat(compare):
    run(compare, "Tell me a story")
    finished(compare)
    told = text(compare, "B")
    pane(compare, "B").get_by_role("button", name="Use").click()
    expect(compare.button("Chat")).to_have_attribute("aria-pressed", "true")
    expect(compare.number("Temperature")).to_have_value("0.9")
    expect(compare.questions).to_contain_text("Tell me a story")
    assert compare.text(compare.replies.last) == told
    compare.replies.last.locator("[data-i='3']").hover()
    expect(compare.page.locator(".token-popover:popover-open .token-row")).to_have_count(5)
    compare.mode("Compare")
    assert text(compare, "B") == told
    pane(compare, "A").get_by_role("button", name="Use").click()
    expect(compare.replies.last).to_contain_text("2 / 2")
    assert compare.number("Temperature").input_value() == "0.1"
    compare.until(lambda: told.strip() in compare.prompt, wanted=False)


def test_the_first_difference_is_marked(compare):
    compare.params(seed=5)
    run(compare, "Tell me a story")
    finished(compare)
    compare.page.get_by_role("checkbox", name="Mark first difference").check()
    marked = pane(compare, "B").locator(".token-differs")
    expect(marked).to_have_count(1)
    place = int(marked.get_attribute("data-i"))
    first, second = (pane(compare, letter).locator("[data-i]").all_text_contents() for letter in "AB")
    assert first[:place] == second[:place]
    assert first[place] != second[place]
    compare.page.get_by_role("checkbox", name="Mark first difference").uncheck()
    expect(marked).to_have_count(0)


def test_check_15_stop_ends_all_panes_and_keeps_their_texts(compare):
    compare.served.engine.script.hold = 9
    run(compare, "Tell me a story")
    for letter in "AB":
        expect(pane(compare, letter).locator("[data-i]")).to_have_count(9)
    compare.button("Stop").click()
    compare.until(lambda: all(entry.left for entry in compare.ledger.asked))
    finished(compare)
    for letter in "AB":
        expect(pane(compare, letter).locator("[data-i]")).to_have_count(9)
        expect(pane(compare, letter)).to_contain_text("stopped")


def test_all_panes_are_in_sight_and_scroll_by_themselves(compare):
    for value in (0.3, 1.2):
        add(compare, Temperature=value)
    compare.served.engine.script.length = 400
    compare.params(max_tokens=400)
    run(compare, "Tell me a story")
    finished(compare)
    boxes = [pane(compare, letter).bounding_box() for letter in "ABCD"]
    assert len({box["x"] for box in boxes}) == len({box["y"] for box in boxes}) == 2
    assert all(box["y"] + box["height"] <= 900 for box in boxes)
    ends = [
        pane(compare, letter)
        .locator(".compare-body")
        .evaluate("body => body.scrollHeight - body.scrollTop - body.clientHeight")
        for letter in "ABCD"
    ]
    assert max(ends) < 10

"""The window: what fills it, what does not fit, and the ways out. Checks 10 and 11."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .test_anatomy_page import typed

WORD = " llama"


@pytest.fixture
def small(serve, opened):
    """A page on a window of 200 tokens, replies of 40."""
    playground = opened(serve(context=200))
    playground.params(max_tokens=40)
    return playground


def told(playground):
    """The numbers in the words of the bar."""
    return [
        int(number.replace(",", ""))
        for number in re.findall(r"\d[\d,]*", playground.meter.get_attribute("aria-valuetext"))
    ]


def budget(served, prompt_words, max_tokens, policy="none"):
    """What the server says of a message of so many words."""
    talk = {
        "messages": [{"role": "user", "content": (WORD * prompt_words).strip()}],
        "policy": policy,
        "params": {"max_tokens": max_tokens},
    }
    return talk, served.http.post("/api/anatomy", json=talk).json()


def test_check_10_the_bar_tells_the_sums(small):
    small.box("System message").fill("Be kind to llamas")
    small.served.engine.script.length = 10
    small.send("How are you?")
    said = typed(small, "And your mother?")
    parts = said["parts"]
    assert sum(parts.values()) == said["prompt_tokens"]
    assert said["prompt_tokens"] + said["reserve"] + said["free"] == said["context"] == 200
    small.until(
        lambda: told(small), lambda numbers: said["prompt_tokens"] + 40 in numbers or said["prompt_tokens"] in numbers
    )
    numbers = told(small)
    for value in (*filter(None, parts.values()), said["reserve"], said["context"]):
        assert value in numbers, (value, small.meter.get_attribute("aria-valuetext"))
    assert small.meter.get_attribute("aria-valuemax") == "200"
    assert small.meter.get_attribute("aria-valuenow") == str(said["prompt_tokens"] + said["reserve"])
    for name in ("system", "history", "this turn"):
        expect(small.meter).to_contain_text(name)
    expect(small.meter).to_contain_text(f"{said['prompt_tokens'] + said['reserve']} / 200")


def test_check_10_over_budget_disables_send_names_the_excess_and_tells_why(small):
    small.page.get_by_role("combobox", name="When the window is full").select_option(value="none")
    said = typed(small, (WORD * 180).strip())
    assert said["over"] > 0
    expect(small.button("Send")).to_be_disabled()
    expect(small.meter.or_(small.page.locator("#remedies")).first).to_be_visible()
    expect(small.page.locator("#middle")).to_contain_text(f"{said['over']} over")
    reason = small.button("Send").get_attribute("aria-describedby")
    expect(small.page.locator(f"#{reason}")).not_to_be_empty()
    small.message.press("Enter")
    assert not small.posts("/api/generate")
    assert small.message.input_value() == (WORD * 180).strip()
    small.params(max_tokens=said["fits_max_tokens"])
    expect(small.button("Send")).to_be_enabled()
    expect(small.page.locator("#middle")).not_to_contain_text("over")
    small.served.engine.script.length = 3
    small.message.focus()
    small.message.press("Enter")
    expect(small.replies).to_have_count(1)
    small.finished()


def test_check_10_the_remedies_are_one_click_each(small):
    """Lower Max tokens; prune. (The third, to shorten, is the person's.)"""
    small.page.get_by_role("combobox", name="When the window is full").select_option(value="none")
    said = typed(small, (WORD * 180).strip())
    remedies = small.page.locator("#remedies")
    expect(remedies).to_be_visible()
    expect(remedies).to_contain_text(str(said["fits_max_tokens"]))
    expect(remedies).to_contain_text(re.compile("shorten", re.IGNORECASE))
    remedies.get_by_role("button", name=re.compile("max tokens", re.IGNORECASE)).click()
    expect(small.number("Max tokens")).to_have_value(str(said["fits_max_tokens"]))
    expect(small.button("Send")).to_be_enabled()
    expect(remedies).to_be_hidden()


def test_check_10_a_conversation_can_be_pruned_by_the_remedy(small):
    small.served.engine.script.length = 30
    for n in range(2):
        small.send(f"Question {n}, about all the llamas of the puna")
    small.page.get_by_role("combobox", name="When the window is full").select_option(value="none")
    typed(small, (WORD * 60).strip())
    expect(small.button("Send")).to_be_disabled()
    small.page.locator("#remedies").get_by_role("button", name=re.compile("prune|drop|oldest", re.IGNORECASE)).click()
    expect(small.button("Send")).to_be_enabled()
    expect(small.page.locator("#anatomy summary")).to_contain_text("pruned")


def test_check_10_the_bar_warns_before_it_is_full(small):
    """Amber from 80 %, red from 95 %: told by a colour and, since colour is never alone, by the numbers."""
    colours = []
    for words in (10, 120, 148):
        said = typed(small, (WORD * words).strip())
        small.until(
            lambda said=said: small.meter.get_attribute("aria-valuenow"), str(said["prompt_tokens"] + said["reserve"])
        )
        share = (said["prompt_tokens"] + said["reserve"]) / 200
        colours.append(
            (
                share,
                small.meter.evaluate(
                    "bar => [bar, ...bar.querySelectorAll('*')].map(e => getComputedStyle(e)).map(s => s.outlineColor + s.borderColor + s.color).join()"
                ),
            )
        )
    assert colours[0][0] < 0.8 < colours[1][0] < 0.95 < colours[2][0] <= 1
    assert len({looks for _, looks in colours}) == 3, [share for share, _ in colours]


@pytest.mark.parametrize("more", [0, 1])
def test_check_11_exactly_the_window_is_allowed_and_one_more_is_refused(small, more):
    small.page.get_by_role("combobox", name="When the window is full").select_option(value="none")
    _, said = budget(small.served, 20, 1)
    small.params(max_tokens=200 - said["prompt_tokens"] + more)
    typed(small, (WORD * 20).strip())
    send = small.button("Send")
    if more:
        expect(send).to_be_disabled()
        expect(small.page.locator("#middle")).to_contain_text("1 over")
        return
    expect(send).to_be_enabled()
    small.served.engine.script.length = 500
    small.message.press("Enter")
    expect(small.replies).to_have_count(1)
    expect(small.finished()).to_contain_text("cut at Max tokens")
    asked = small.ledger.last
    assert len(asked.prompt.ids) + asked.sampling.max_tokens == 200


def test_check_11_the_server_refuses_one_more_too(small):
    _, said = budget(small.served, 20, 1)
    fits = 200 - said["prompt_tokens"]
    small.served.engine.script.length = 3
    talk, _ = budget(small.served, 20, fits)
    assert small.served.http.post("/api/generate", json=talk).status_code == 200
    talk, said = budget(small.served, 20, fits + 1)
    assert said["over"] == 1
    answer = small.served.http.post("/api/generate", json=talk)
    assert answer.status_code == 400
    assert str(fits) in answer.json()["error"]["message"]


def test_rule_6_enter_waits_for_the_count_that_is_under_way_and_then_sends(small):
    """A count that is late neither blocks a valid message nor lets a message go that does not fit."""
    small.page.get_by_role("combobox", name="When the window is full").select_option(value="none")
    typed(small, (WORD * 180).strip())
    expect(small.button("Send")).to_be_disabled()
    small.served.engine.script.length = 3
    small.start("short enough")
    small.finished()
    assert small.ledger.last.prompt.text == "<s>[INST] short enough [/INST]"
    held = []

    def hold(route):
        held.append(route)

    small.page.route("**/api/anatomy", hold)
    small.message.fill((WORD * 190).strip())
    small.message.press("Enter")
    small.until(lambda: held)
    assert len(small.posts("/api/generate")) == 1
    small.page.wait_for_timeout(150)
    assert len(small.posts("/api/generate")) == 1
    for route in held:
        route.continue_()
    expect(small.button("Send")).to_be_disabled()
    assert len(small.posts("/api/generate")) == 1
    assert small.message.input_value() == (WORD * 190).strip()

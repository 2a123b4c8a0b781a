"""The page in front of a server that takes messages and tells no tokens, no probabilities and no window: it says so and goes on."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect


@pytest.fixture
def page(serve, opened):
    return opened(serve(messages=True))


def test_the_page_opens_and_talks(page):
    page.served.engine.script.text = "the llama walks far away"
    page.box("System message").fill("Be kind to llamas")
    page.send("How are you?")
    (reply,) = page.replies.all()
    asked = page.ledger.last
    assert [m.content for m in asked.prompt.dialog] == ["Be kind to llamas", "How are you?"]
    assert asked.extras.logprobs is None
    assert page.text(reply).strip() == "the llama walks far away"
    expect(page.page.locator("#format")).to_have_text("format: the server’s own")


def test_the_messages_are_shown_as_they_are_sent_and_a_sentence_says_why_no_tokens_are(page):
    page.box("System message").fill("Be kind to llamas")
    page.message.fill("How are you?")
    anatomy = page.page.locator("#anatomy")
    page.until(lambda: page.prompt, "Be kind to llamasHow are you?")
    expect(anatomy.locator(".anatomy-untold")).to_contain_text(
        "go to the server behind this endpoint as they stand here"
    )
    expect(anatomy.locator('[data-kind="user"]').last).to_have_text("How are you?")
    assert anatomy.locator('.anatomy-tokens [data-kind="marker"]').count() == 0
    anatomy.locator("[data-i]").first.focus()
    expect(anatomy.get_by_role("tooltip")).to_contain_text("its tokens are not told")


def test_no_window_is_made_up(page):
    page.message.fill("llama " * 20_000)
    expect(page.meter).to_contain_text("are counted by the server behind this endpoint")
    expect(page.meter).to_contain_text("how large its window is, it does not tell")
    assert " 0" not in str(page.meter.get_attribute("aria-valuetext"))
    expect(page.button("Send")).to_be_enabled()
    expect(page.page.locator("#remedies")).to_be_hidden()


def test_no_longest_answer_is_made_up(page):
    page.params(max_tokens=100_000)
    page.served.engine.script.length = 3
    page.send("Hi")
    assert page.ledger.last.sampling.max_tokens == 100_000


def test_a_reply_cannot_be_gone_on_with_and_the_page_says_so(page):
    page.served.engine.script.length = 5
    page.send("How are you?")
    (reply,) = page.replies.all()
    more = reply.get_by_role("button", name="Continue")
    expect(more).to_be_disabled()
    expect(more).to_have_attribute("title", re.compile("takes whole messages"))
    reply.locator("[data-i]").first.focus()
    expect(reply.get_by_role("group", name="Alternatives")).to_contain_text("The engine tells no probabilities here.")
    page.act("Regenerate", reply)
    expect(page.replies).to_have_count(1)
    expect(page.replies.first).to_contain_text("2 / 2")


def test_raw_text_is_checked_without_its_tokens(page):
    page.button("Raw").click()
    page.box("Raw prompt").fill("[INST]Hi [/INST]")
    expect(page.page.get_by_role("list", name="Findings")).to_contain_text("space")


def test_compare_works(page):
    page.served.engine.script.length = 4
    page.button("Compare").click()
    page.message.fill("Hi")
    page.button("Run all").click()
    for facts in page.page.locator(".compare-facts").all():
        expect(facts).to_contain_text("finished")
    assert len(page.ledger.asked) == 2

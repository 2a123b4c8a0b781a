"""Versions of messages: nothing is ever overwritten. Checks 23 and 24, deleting and undoing."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect


@pytest.fixture
def talked(playground):
    """Two turns."""
    playground.params(temperature=1)
    playground.send("First question")
    playground.send("Second question")
    return playground


def edit(playground, message, text):
    playground.button("Edit", message).click()
    box = playground.page.get_by_role("textbox", name="Edited message")
    box.fill(text)
    box.press("Control+Enter")


def test_check_23_regenerate_adds_a_version_and_the_first_comes_back(talked):
    first = talked.text(talked.replies.last)
    talked.act("Regenerate", talked.replies.last)
    reply = talked.replies.last
    second = talked.text(reply)
    assert second != first
    expect(reply).to_contain_text("2 / 2")
    talked.until(lambda: talked.prompt, lambda prompt: second.strip() in prompt)
    talked.button("Previous version", reply).click()
    expect(talked.replies.last).to_contain_text("1 / 2")
    assert talked.text(talked.replies.last) == first
    talked.until(lambda: talked.prompt, lambda prompt: first.strip() in prompt and second.strip() not in prompt)
    talked.button("Next version", talked.replies.last).click()
    assert talked.text(talked.replies.last) == second


def test_check_23_an_earlier_reply_can_be_made_again_and_what_followed_is_kept(talked):
    second = talked.text(talked.replies.last)
    talked.act("Regenerate", talked.replies.first)
    expect(talked.replies).to_have_count(1)
    expect(talked.replies.first).to_contain_text("2 / 2")
    talked.until(lambda: talked.prompt, lambda prompt: "Second question" not in prompt)
    talked.button("Previous version", talked.replies.first).click()
    expect(talked.replies).to_have_count(2)
    assert talked.text(talked.replies.last) == second


def test_check_24_editing_a_question_branches_and_the_old_one_is_reachable(talked):
    first = talked.text(talked.replies.first)
    before = len(talked.ledger.asked)
    edit(talked, talked.questions.first, "Another first question")
    talked.until(lambda: len(talked.ledger.asked) > before)
    talked.finished()
    expect(talked.questions).to_have_count(1)
    expect(talked.questions.first).to_contain_text("Another first question")
    expect(talked.questions.first).to_contain_text("2 / 2")
    expect(talked.replies).to_have_count(1)
    assert talked.ledger.last.prompt.text == "<s>[INST] Another first question [/INST]"
    talked.button("Previous version", talked.questions.first).click()
    expect(talked.questions.first).to_contain_text("First question")
    expect(talked.questions).to_have_count(2)
    assert talked.text(talked.replies.first) == first


def test_check_24_editing_a_reply_branches_without_asking_and_continue_goes_on_from_it(talked):
    old = talked.text(talked.replies.last)
    asked = len(talked.ledger.asked)
    edit(talked, talked.replies.last, "My own answer, which")
    expect(talked.replies.last).to_contain_text("My own answer, which")
    expect(talked.replies.last).to_contain_text("2 / 2")
    assert len(talked.ledger.asked) == asked
    talked.until(lambda: talked.prompt, lambda prompt: "My own answer, which" in prompt)
    talked.act("Continue", talked.replies.last)
    assert talked.text(talked.replies.last).startswith("My own answer, which")
    assert talked.ledger.last.prompt.text.endswith("[/INST] My own answer, which")
    for _ in range(2):
        talked.button("Previous version", talked.replies.last).click()
    assert talked.text(talked.replies.last) == old


def test_an_edit_can_be_left_without_a_trace(talked):
    talked.button("Edit", talked.questions.first).click()
    talked.page.get_by_role("textbox", name="Edited message").fill("never mind")
    talked.page.keyboard.press("Escape")
    expect(talked.questions.first).to_contain_text("First question")
    expect(talked.questions.first).not_to_contain_text("2 / 2")
    expect(talked.button("Edit", talked.questions.first)).to_be_focused()
    expect(talked.replies).to_have_count(2)


@pytest.mark.parametrize("place", [0, 1])
def test_a_deleted_message_comes_back_by_undo_with_all_that_followed(talked, place):
    texts = [talked.text(talked.replies.nth(n)) for n in range(2)]
    talked.act("Regenerate", talked.replies.last)
    talked.button("Previous version", talked.replies.last).click()
    talked.button("Delete", talked.questions.nth(place)).click()
    expect(talked.questions).to_have_count(place)
    talked.until(lambda: talked.prompt, lambda prompt: "Second question" not in prompt)
    talked.button("Undo").click()
    expect(talked.questions).to_have_count(2)
    assert [talked.text(talked.replies.nth(n)) for n in range(2)] == texts
    expect(talked.replies.last).to_contain_text("1 / 2")
    talked.until(lambda: talked.prompt, lambda prompt: "Second question" in prompt)
    expect(talked.page.locator("#toast")).to_be_hidden()


def test_a_deleted_reply_leaves_its_question_which_can_be_answered_again(talked):
    talked.button("Delete", talked.replies.last).click()
    expect(talked.replies).to_have_count(1)
    expect(talked.questions).to_have_count(2)
    talked.act("Answer", talked.questions.last)
    expect(talked.replies).to_have_count(2)


def test_deleting_one_version_shows_the_other(talked):
    first = talked.text(talked.replies.last)
    talked.act("Regenerate", talked.replies.last)
    talked.button("Delete", talked.replies.last).click()
    talked.until(lambda: talked.text(talked.replies.last), first)
    expect(talked.replies.last).not_to_contain_text("2 / 2")


def test_copy_gives_the_exact_text(served, opened):
    playground = opened(served, permissions=["clipboard-read", "clipboard-write"])
    playground.served.engine.script.text = "  Two spaces,\n\na blank line and 🦙 "
    reply = playground.send("Hi")
    playground.button("Copy", reply).click()
    playground.until(
        lambda: playground.page.evaluate("navigator.clipboard.readText()"), playground.served.engine.script.text
    )


def test_alternatives_of_kept_replies_outlive_a_deletion_elsewhere(talked):
    """The numbers of messages change when one before them goes; what is known of them must move along."""
    talked.act("Regenerate", talked.replies.first)
    talked.send("After the second version")
    talked.button("Previous version", talked.replies.first).click()
    talked.button("Delete", talked.replies.first).click()
    expect(talked.replies).to_have_count(2)
    talked.replies.last.locator("[data-i='2']").hover()
    tip = talked.page.locator(".token-popover:popover-open")
    expect(tip).to_contain_text("position 2")
    expect(tip.locator(".token-row")).to_have_count(5)

"""Sending, streaming, stopping, scrolling; and that a reply is text. Checks 12 to 16, 18 and 19."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

EVIL = '<img src=x onerror="window.hurt = 1"><script>window.hurt = 2</script><b>bold</b> &amp; javascript:alert(1)'


def test_check_12_enter_sends_and_shift_enter_does_not(playground):
    playground.message.fill("one")
    playground.message.press("Shift+Enter")
    playground.page.keyboard.type("two")
    expect(playground.message).to_have_value("one\ntwo")
    assert not playground.posts("/api/generate")
    playground.message.press("Enter")
    expect(playground.replies).to_have_count(1)
    playground.finished()
    assert playground.posts("/api/generate")[0]["messages"] == [{"role": "user", "content": "one\ntwo"}]
    expect(playground.message).to_have_value("")


def test_check_12_enter_that_ends_a_composition_does_not_send(playground):
    """As a Japanese input method does: Enter takes the proposed word."""
    playground.message.focus()
    keys = playground.page.context.new_cdp_session(playground.page)
    keys.send("Input.imeSetComposition", {"text": "\u3089\u307e", "selectionStart": 2, "selectionEnd": 2})
    composing = {
        "key": "Enter",
        "code": "Enter",
        "bubbles": True,
        "cancelable": True,
        "isComposing": True,
        "keyCode": 229,
    }
    playground.message.evaluate("(box, how) => box.dispatchEvent(new KeyboardEvent('keydown', how))", composing)
    keys.send("Input.insertText", {"text": "\u3089\u307e"})
    expect(playground.message).to_have_value("\u3089\u307e")
    playground.page.wait_for_load_state("networkidle")
    assert not playground.posts("/api/generate")
    playground.message.press("Enter")
    expect(playground.replies).to_have_count(1)


def test_an_empty_message_is_not_sent(playground):
    for text in ("", "   ", "\n"):
        playground.message.fill(text)
        playground.message.press("Enter")
    playground.page.wait_for_load_state("networkidle")
    assert not playground.posts("/api/generate")
    expect(playground.page.get_by_text("Nothing sent yet.")).to_be_visible()


def test_check_13_a_long_reply_is_shown_whole_and_in_order(playground):
    """How late, and how smoothly, is measured by benchmarks/ui.py."""
    script = playground.served.engine.script
    script.text = " ".join(f"w{n}" for n in range(500))  # three tokens a word
    playground.params(max_tokens=1500)
    reply = playground.send("Count")
    spans = reply.locator(".token-view [data-i]")
    expect(spans).to_have_count(1500)
    assert spans.evaluate_all("spans => spans.map(span => Number(span.dataset.i))") == list(range(1500))
    asked = playground.served.engine.words.encode(script.text)[:1500]
    assert playground.text(reply) == b"".join(map(playground.served.engine.words.bytes_of, asked)).decode()
    assert len(playground.posts("/api/generate")) == 1


def test_check_15_stop_ends_the_request_and_keeps_the_text(playground):
    stopped(playground, lambda: playground.button("Stop").click())


def test_check_15_escape_ends_the_request_and_keeps_the_text(playground):
    stopped(playground, lambda: playground.page.keyboard.press("Escape"))


def stopped(playground, stop):
    playground.served.engine.script.hold = 12
    playground.start("Tell me a story")
    reply = playground.replies.last
    expect(reply.locator(".token-view [data-i]")).to_have_count(12)
    expect(playground.button("Stop")).to_be_visible()
    expect(playground.status).to_contain_text("Streaming… 12 tokens")
    before = playground.text(reply)
    stop()
    playground.until(lambda: playground.ledger.last.left)
    playground.finished()
    assert playground.text(reply) == before
    expect(reply.locator(".message-foot")).to_contain_text(re.compile(r"stopped.*\b12 tokens"))
    expect(playground.button("Continue", reply)).to_be_visible()


def test_stop_while_nothing_has_come_yet_keeps_the_message(playground):
    playground.served.engine.script.hold = 0
    playground.start("Tell me a story")
    expect(playground.status).to_contain_text("Waiting for the first token")
    playground.button("Stop").click()
    playground.until(lambda: playground.ledger.last.left)
    expect(playground.questions).to_have_count(1)
    expect(playground.questions).to_contain_text("Tell me a story")
    playground.served.engine.script.hold = None
    again = playground.button(
        re.compile("^(Regenerate|Continue|Retry|Answer)$"), playground.page.locator("#chat")
    ).first
    again.click()
    playground.finished()
    expect(playground.replies).to_have_count(1)


def test_the_setup_stays_editable_while_a_reply_streams_and_counts_for_the_next(playground):
    playground.served.engine.script.hold = 5
    playground.start("Tell me a story")
    expect(playground.replies.locator("[data-i]")).to_have_count(5)
    playground.params(temperature=1.5)
    playground.box("System message").fill("Be brief")
    playground.message.fill("next")
    expect(playground.message).to_have_value("next")
    playground.served.engine.release()
    playground.finished()
    assert playground.posts("/api/generate")[0]["params"]["temperature"] != 1.5
    playground.send("next")
    assert playground.posts("/api/generate")[1]["params"]["temperature"] == 1.5
    assert playground.posts("/api/generate")[1]["system"] == "Be brief"


SCROLLER = """view => {
  let at = view;
  while (at && !(/auto|scroll/.test(getComputedStyle(at).overflowY) && at.scrollHeight > at.clientHeight)) at = at.parentElement;
  return [at.scrollTop, at.scrollHeight - at.clientHeight];
}"""


def test_check_16_scrolling_up_holds_the_place_and_the_end_follows_again(playground):
    script = playground.served.engine.script
    script.length, script.pace = 1500, 400
    playground.params(max_tokens=1500)
    playground.start("Tell me a long story")
    view = playground.replies.last.locator(".token-view")

    def grown(by=60):
        before = view.locator("[data-i]").count()
        playground.until(lambda: view.locator("[data-i]").count() > before + by)

    playground.until(lambda: view.evaluate(SCROLLER.replace("return [", "if (!at) return [0, 0]; return ["))[1] > 100)
    top, end = view.evaluate(SCROLLER)
    assert end - top < 30, "it does not follow"
    view.hover()
    playground.page.mouse.wheel(0, -300)
    playground.until(lambda: view.evaluate(SCROLLER)[0] < top - 100)
    playground.page.wait_for_timeout(100)  # a smooth scroll comes to rest
    held = view.evaluate(SCROLLER)[0]
    grown()
    assert view.evaluate(SCROLLER)[0] == held
    playground.page.mouse.wheel(0, 100_000)
    playground.until(lambda: view.evaluate("view => 0") or view.evaluate(SCROLLER), lambda at: at[1] - at[0] < 30)
    grown()
    top, end = view.evaluate(SCROLLER)
    assert end - top < 30, "it does not follow again"
    playground.page.keyboard.press("Escape")
    playground.finished()


def test_check_18_a_character_of_several_tokens_is_shown_once_and_whole(playground):
    text = "A llama: 🦙, a herder: 👩‍🌾, a flag: 🇧🇴.\nDone 🎉"
    playground.served.engine.script.text = text
    reply = playground.send("Emoji, please")
    assert playground.text(reply) == text
    assert "\ufffd" not in reply.inner_text()
    assert reply.locator(".token-view").inner_text().count("🦙") == 1
    tokens = playground.served.engine.words.encode(text)
    expect(reply.locator("[data-i]")).to_have_count(len(tokens))
    at = tokens.index(0xF0 + 5) + 3
    reply.locator(f"[data-i='{at}']").hover()
    tip = playground.page.locator(".token-popover:popover-open")
    for token in tokens[at - 3 : at + 1]:
        expect(tip).to_contain_text(f"id {token}")


def test_check_18_half_a_character_at_the_end_is_a_sign_and_no_error(playground):
    playground.served.engine.script.text = "Hi 🦙"
    playground.params(max_tokens=4)
    reply = playground.send("Emoji, please")
    expect(reply).to_contain_text("cut at Max tokens (4)")
    assert playground.text(reply).rstrip("\ufffd") == "Hi "


def test_check_19_markup_in_a_reply_is_text(playground):
    playground.served.engine.script.text = EVIL
    reply = playground.send(EVIL)
    assert playground.text(reply) == EVIL
    unhurt(playground)
    assert EVIL in playground.questions.inner_text()


def test_check_19_markup_in_a_system_message_and_a_title_is_text(playground):
    playground.box("System message").fill(EVIL)
    playground.send("Hi")
    playground.until(lambda: EVIL in playground.prompt)
    playground.send(EVIL)
    playground.until(playground.served.sessions)
    session = playground.served.sessions()[0]
    saved = playground.served.saved(session["id"])
    playground.served.http.put(f"/api/sessions/{session['id']}", json={**saved, "title": EVIL}).raise_for_status()
    playground.button("Sessions").click()
    expect(playground.page.get_by_role("dialog")).to_contain_text(EVIL)
    unhurt(playground)
    playground.reload()
    unhurt(playground)


def unhurt(playground):
    assert playground.page.evaluate("window.hurt") is None
    expect(
        playground.page.locator("main img, main script, main b b, dialog img, aside img, aside script")
    ).to_have_count(0)


@pytest.mark.parametrize("direction", ["rtl", "long"])
def test_odd_texts_stay_inside_the_page(playground, direction):
    text = {"rtl": "שלום עולם, هذا نص عربي 123", "long": "x" * 3000}[direction]
    playground.served.engine.script.text = text
    reply = playground.send(text)
    assert playground.text(reply) == text
    expect(playground.questions).to_contain_text(text)
    assert playground.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for part in ("#chat", "#anatomy-panel", "#setup"):
        assert playground.page.locator(part).evaluate("part => part.scrollWidth <= part.clientWidth + 1"), part


def test_the_footer_tells_how_the_reply_ended(playground):
    reply = playground.send("Tell me a story")
    expect(reply).to_contain_text("40 tokens")
    expect(reply).to_contain_text(re.compile(r"\d+(\.\d)?\s*(tok(ens)?/s|/s)"))
    expect(reply).to_contain_text(re.compile(r"seed \d+", re.IGNORECASE))
    expect(playground.page.locator("#polite")).to_have_text("Reply finished, 40 tokens")
    expect(reply.locator("[aria-live]")).to_have_count(0)

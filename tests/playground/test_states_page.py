"""What goes wrong, really caused: the banner is right, nothing is lost, and it goes on. Checks 32 and 33, and UI.md's section 12."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from puna.errors import EngineBusyError, EngineError, EngineLoadingError, EngineStoppedError

REFUSED = r"the server responded with a status of (429|500|503)"
FAILED = r"net::ERR_|Failed to load resource"
"""What the browser itself writes into its console."""


def test_the_empty_page_says_what_to_do(playground):
    chat = playground.page.locator("#chat")
    expect(chat).to_contain_text(
        "Nothing sent yet. The right column already shows the exact prompt your message will become."
    )
    expect(chat.get_by_role("button")).to_have_count(3)
    expect(playground.status).to_have_text("Ready")
    expect(playground.banner).to_be_hidden()


def test_the_status_tells_of_waiting_and_of_streaming(playground):
    playground.served.engine.script.hold = 0
    playground.start("Tell me a story")
    expect(playground.status).to_have_text(re.compile(r"^Waiting for the first token… \d+ s$"))
    playground.served.engine.script.hold = None
    playground.served.engine.release()
    playground.finished()
    expect(playground.status).to_have_text(re.compile(r"^Ready · 40 tokens in [\d.]+ s$"))


def test_a_reply_that_was_cut_offers_to_continue(playground):
    playground.params(max_tokens=10)
    reply = playground.send("Tell me a story")
    expect(reply.locator(".message-foot")).to_contain_text("cut at Max tokens (10)")
    playground.act("Continue", reply.locator(".message-foot"))
    expect(playground.replies.last.locator("[data-i]")).to_have_count(20)


def test_check_32_a_model_that_loads_is_no_error_and_is_waited_for(serve, opened):
    served = serve(loading=True)
    playground = opened(served, path=None)
    playground.allowed.append(REFUSED)
    playground.page.goto(served.url)
    expect(playground.banner).to_contain_text("The model is loading")
    expect(playground.banner).to_have_class("loading")
    playground.message.fill("Written while it loads")
    served.load()
    expect(playground.banner).to_be_hidden()
    playground.until(lambda: playground.prompt, "<s>[INST] Written while it loads [/INST]")
    playground.message.press("Enter")
    expect(playground.replies).to_have_count(1)
    playground.finished()


def test_check_32_503_while_sending_is_waited_out(playground):
    playground.allowed.append(REFUSED)
    playground.served.engine.script.refuse = EngineLoadingError("the model is being loaded; ask again in a few seconds")
    playground.start("Tell me a story")
    expect(playground.banner).to_contain_text("The model is loading")
    playground.served.engine.script.refuse = None
    hurry(playground)
    expect(playground.replies).to_have_count(1)
    playground.finished()
    expect(playground.banner).to_be_hidden()
    expect(playground.questions).to_have_count(1)
    expect(playground.message).to_have_value("")


def test_check_32_waiting_for_a_model_can_be_stopped_and_gives_the_message_back(playground):
    playground.allowed.append(REFUSED)
    playground.served.engine.script.refuse = EngineLoadingError("the model is being loaded; ask again in a few seconds")
    playground.start("Tell me a story")
    expect(playground.banner).to_contain_text("The model is loading")
    playground.button("Stop").click()
    expect(playground.button("Send")).to_be_visible()
    expect(playground.banner).to_be_hidden()
    kept(playground, "Tell me a story")


def hurry(playground):
    """Press the banner's button, unless the page was quicker and has tried again by itself."""
    playground.banner.evaluate("banner => banner.querySelector('button')?.click()")


def kept(playground, text):
    """The message is in the box again, or stands in the conversation waiting for its answer."""
    playground.until(
        lambda: playground.message.input_value() == text or text in "".join(playground.questions.all_inner_texts())
    )


ERRORS = {
    "busy": EngineBusyError("all 8 slots are busy and 64 requests wait already; try again"),
    "stopped": EngineStoppedError("the engine is not running; ask again once it is back"),
    "failed": EngineError("the engine failed for a reason of its own; see its log"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_check_32_an_error_before_the_stream_keeps_the_message_and_retrying_works(playground, name):
    playground.allowed.append(REFUSED)
    playground.served.engine.script.refuse = ERRORS[name]
    playground.start("Tell me a story")
    expect(playground.banner).to_contain_text(str(ERRORS[name]).split(";", 1)[0], ignore_case=True)
    expect(playground.page.get_by_role("alert")).to_be_visible()
    expect(playground.message).to_have_value("Tell me a story")
    expect(playground.button("Send")).to_be_enabled()
    playground.served.engine.script.refuse = None
    playground.message.press("Enter")
    expect(playground.replies).to_have_count(1)
    playground.finished()
    expect(playground.banner).to_be_hidden()
    expect(playground.questions).to_have_count(1)


def test_check_32_what_the_server_refuses_is_told_in_its_words(serve, opened):
    """The page does not know which format takes which dialog: here one without a system message."""
    playground = opened(serve(format="gemma2"))
    playground.allowed.append("400 \\(Bad Request\\)")
    playground.box("System message").fill("Be brief")
    playground.message.fill("Hi")
    playground.message.press("Enter")
    expect(playground.banner).to_contain_text("Gemma 2 has no system message, but the dialog begins with one")
    kept(playground, "Hi")
    assert not playground.ledger.asked
    playground.box("System message").fill("")
    playground.send("Hi")
    expect(playground.banner).to_be_hidden()


@pytest.mark.parametrize("how", ["engine", "cut", "end", "garbage"])
def test_check_32_a_stream_that_breaks_keeps_what_had_come_and_continues(playground, how):
    playground.allowed.append(FAILED)
    if how == "engine":
        playground.served.engine.script.fail_after = 12
    else:
        playground.served.fault(how, after=13)  # the first record is the start
    playground.params(temperature=0)
    playground.start("Tell me a story")
    reply = playground.finished()
    expect(reply.locator("[data-i]")).to_have_count(12)
    text = playground.text(reply)
    words = {"engine": "fails after 12 tokens", "cut": "broke off", "end": "broke off", "garbage": "no JSON"}[how]
    expect(playground.banner).to_contain_text(words)
    expect(playground.banner).to_contain_text("Continue")
    expect(reply.locator(".message-foot")).to_contain_text("broken off")
    playground.served.engine.script.fail_after = None
    playground.act("Continue", reply)
    expect(playground.replies.last.locator("[data-i]")).to_have_count(52)
    assert playground.text(playground.replies.last).startswith(text)
    expect(playground.banner).to_be_hidden()
    asked = playground.ledger.asked
    assert len(asked[-1].prompt.ids) == len(asked[0].prompt.ids) + 12


def test_check_32_a_stream_that_breaks_at_once_keeps_the_message(playground):
    playground.allowed.append(FAILED)
    playground.served.fault("end", after=1)
    playground.start("Tell me a story")
    playground.finished()
    expect(playground.banner).to_be_visible()
    kept(playground, "Tell me a story")
    playground.served.engine.reset()
    (
        playground.button("Send")
        if playground.message.input_value()
        else playground.button(re.compile("Regenerate|Answer"), playground.page.locator("#chat")).last
    ).click()
    playground.until(lambda: playground.ledger.asked)
    expect(playground.finished().locator("[data-i]")).to_have_count(40)


def test_check_32_the_server_is_away_while_a_message_is_sent(serve, opened):
    served = serve()
    playground = opened(served)
    playground.allowed.append(FAILED)
    playground.send("First question")
    served.stop()
    playground.message.fill("Second question")
    playground.message.press("Enter")
    expect(playground.banner).to_contain_text(re.compile(r"The server does not answer\. Retrying in \d s"))
    playground.until(lambda: len(playground.posts("/api/generate")), 2)
    expect(playground.message).to_have_value("Second question")
    expect(playground.button("Send")).to_be_visible()
    playground.button("Edit", playground.questions.first).click()
    playground.page.keyboard.press("Escape")
    playground.box("System message").fill("Edited while it was away")
    served.start()
    hurry(playground)
    expect(playground.banner).to_be_hidden()
    playground.until(lambda: playground.prompt, lambda prompt: "Edited while" in prompt)
    playground.button("Send").click()
    expect(playground.replies).to_have_count(2)
    playground.finished()
    assert "Second question" in served.engine.ledger.last.prompt.text
    playground.until(
        lambda: served.sessions() and served.saved(served.sessions()[0]["id"])["system"], "Edited while it was away"
    )


def test_check_32_the_server_goes_away_in_the_middle_of_a_reply(serve, opened):
    served = serve()
    playground = opened(served)
    playground.allowed.append(FAILED)
    served.engine.script.hold = 15
    playground.start("Tell me a story")
    expect(playground.replies.last.locator("[data-i]")).to_have_count(15)
    served.stop()
    expect(playground.banner).to_be_visible()
    playground.finished()
    expect(playground.replies.last.locator("[data-i]")).to_have_count(15)
    served.engine.script.hold = None
    served.start()
    hurry(playground)
    playground.act("Continue", playground.replies.last)
    expect(playground.replies.last.locator("[data-i]")).to_have_count(55)


def test_check_32_the_last_words_before_a_crash_of_the_server_are_kept_as_a_draft(serve, opened):
    served = serve()
    playground = opened(served)
    playground.allowed.append(FAILED)
    playground.send("First question")
    playground.until(served.sessions)
    served.stop()
    playground.message.fill("Typed while the server was away")
    expect(playground.banner).to_contain_text("does not answer")
    served.start()
    playground.reload()
    expect(playground.message).to_have_value("Typed while the server was away")
    expect(playground.replies).to_have_count(1)


def test_check_33_a_restart_while_the_page_is_open_is_seen_and_forgotten_by_itself(serve, opened):
    """Nobody presses anything: the page looks by itself. Its clock is wound forward, so that the test need not wait."""
    served = serve()
    playground = opened(served, path=None)
    playground.allowed.append(FAILED)
    playground.page.clock.install()
    playground.open()
    served.stop()
    playground.page.clock.run_for(6_000)
    expect(playground.banner).to_contain_text("The server does not answer")
    served.start()
    playground.page.clock.run_for(6_000)
    expect(playground.banner).to_be_hidden()
    playground.page.clock.resume()
    playground.send("After the restart")


def test_a_wrong_token_is_asked_for_again(serve, opened):
    playground = opened(serve(token="right"), path=None)
    playground.allowed.append("401 \\(Unauthorized\\)")
    playground.page.goto(playground.served.url)
    for token in ("wrong", "right"):
        expect(playground.page.get_by_label("Access token")).to_be_visible()
        playground.page.get_by_label("Access token").fill(token)
        playground.page.keyboard.press("Enter")
        if token == "wrong":
            expect(playground.page.get_by_role("dialog")).to_contain_text("That token was refused")
    playground.ready()
    playground.send("Hi")
    assert "right" not in playground.page.evaluate("JSON.stringify(localStorage)")


def test_a_receipt_can_be_read_where_the_server_wants_a_token(serve, opened):
    playground = opened(serve(token="right"), path=None)
    playground.allowed.append("401")
    playground.page.goto(playground.served.url)
    playground.page.get_by_label("Access token").fill("right")
    playground.button("Sign in").click()
    playground.send("Tell me a story")
    with playground.page.expect_popup() as popup:
        playground.replies.last.get_by_role("link", name="receipt").click()
    expect(popup.value.locator("body")).to_contain_text('"dialect": "playground"')


def token_dialog(playground):
    return playground.page.get_by_role("dialog", name="Sign in")


def sign_in(playground, token):
    playground.page.get_by_label("Access token").fill(token)
    playground.page.keyboard.press("Enter")


def test_a_token_that_no_header_can_bear_is_refused_in_the_dialog(serve, opened):
    playground = opened(serve(token="right"), path=None)
    playground.allowed.append("401")
    playground.page.goto(playground.served.url)
    for token in ("pässwörd", "ключ", "two words"):
        sign_in(playground, token)
        expect(token_dialog(playground)).to_contain_text("signs of ASCII only")
    sign_in(playground, " ")
    expect(token_dialog(playground)).to_contain_text("Type the token")
    assert playground.page.evaluate("sessionStorage.length") == 0
    sign_in(playground, " right ")
    playground.ready()
    expect(token_dialog(playground)).to_be_hidden()


def test_a_kept_token_that_no_header_can_bear_is_asked_for_again(serve, opened):
    playground = opened(serve(token="right"), path=None)
    playground.allowed.append("401")
    playground.page.add_init_script("sessionStorage.setItem('puna.token', 'ключ')")
    playground.page.goto(playground.served.url)
    expect(token_dialog(playground)).not_to_contain_text("refused")  # none was sent
    sign_in(playground, "right")
    playground.ready()
    assert playground.page.evaluate("sessionStorage.getItem('puna.token')") == "right"


def test_a_dismissed_dialog_comes_back_only_by_the_banner(serve, opened):
    """The clock is wound forward, past several looks of the page by itself."""
    playground = opened(serve(token="right"), path=None)
    playground.allowed.append("401")
    playground.page.clock.install()
    playground.page.goto(playground.served.url)
    expect(token_dialog(playground)).to_be_visible()
    playground.page.keyboard.press("Escape")
    expect(playground.button("Sign in", playground.banner)).to_be_visible()
    playground.message.fill("typed while signed out")
    with playground.page.expect_response("**/api/info"):
        playground.page.clock.run_for(11_000)
    playground.page.wait_for_timeout(200)
    expect(token_dialog(playground)).to_be_hidden()
    expect(playground.message).to_be_focused()
    playground.button("Sign in", playground.banner).click()
    sign_in(playground, "wrong")
    expect(token_dialog(playground)).to_contain_text("That token was refused.")
    sign_in(playground, "right")
    playground.page.clock.resume()
    playground.ready()
    expect(playground.banner).to_be_hidden()
    playground.until(playground.served.sessions)
    playground.until(lambda: "typed while signed out" in playground.prompt)


def test_where_no_token_helps_none_is_asked_for(served, opened):
    playground = opened(served, path=None)
    playground.allowed.append("401")
    body = {"error": {"code": "unauthorized", "message": "This endpoint wants signed requests.", "wants": "sigv4"}}
    playground.page.route("**/api/**", lambda route: route.fulfill(status=401, json=body))
    playground.page.goto(served.url)
    expect(playground.banner).to_contain_text("This endpoint wants signed requests.")
    expect(token_dialog(playground)).to_be_hidden()
    expect(playground.button("Dismiss", playground.banner)).to_be_visible()


FULL = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };"
FORBIDDEN = """for (const name of ['localStorage', 'sessionStorage'])
  Object.defineProperty(window, name, { get() { throw new DOMException('forbidden', 'SecurityError'); } });"""


@pytest.mark.parametrize("script", [FULL, FORBIDDEN], ids=["full", "forbidden"])
def test_a_browser_that_keeps_nothing_breaks_nothing(serve, opened, script):
    playground = opened(serve(token="right"), path=None)
    playground.allowed.append("401")
    playground.page.add_init_script(script)
    playground.page.goto(playground.served.url)
    sign_in(playground, "right")
    playground.ready()
    playground.page.locator("#theme").click()
    playground.message.fill("a draft")
    playground.until(
        lambda: [
            entry
            for entry in playground.served.sessions()
            if playground.served.saved(entry["id"])["draft"] == "a draft"
        ]
    )
    playground.send("Tell me a story")
    assert not playground.banner.is_visible()

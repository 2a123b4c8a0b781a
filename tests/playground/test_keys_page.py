"""Everything by keyboard: each shortcut of the help, none in a field, and the whole way from preset to export. Check 35."""

from __future__ import annotations

import re

from playwright.sync_api import expect

HELP = {
    "Message": ["Enter", "Shift+Enter", "/"],
    "Reply": ["Esc", "Ctrl+Enter", "Alt+←", "Alt+→"],
    "Page": ["Alt+1", "Alt+2", "Alt+3", "Ctrl+K", "Ctrl+Shift+E", "Ctrl+Shift+P", "?"],
    "Tokens": ["← →", "↑ ↓", "Home End", "Enter"],
    "Setup": ["Backspace", "Enter"],
    "Editing a message": ["Ctrl+Enter", "Esc"],
}
"""What the help lists. Each has a test: here, or (tokens, setup, editing) in the file of its subject."""


def outside(playground):
    """Put the focus on nothing."""
    playground.page.evaluate("document.activeElement.blur()")


def test_check_35_the_help_lists_what_is_tested(playground):
    outside(playground)
    playground.page.keyboard.press("?")
    dialog = playground.page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    listed = dialog.locator("section").evaluate_all(
        "groups => groups.map(group => [group.querySelector('h3').textContent, [...group.querySelectorAll('kbd')].map(key => key.textContent)])"
    )
    assert dict(listed) == HELP
    playground.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_check_35_modes(playground):
    for key, mode in (("Alt+2", "Compare"), ("Alt+3", "Raw"), ("Alt+1", "Chat")):
        playground.page.keyboard.press(key)
        expect(playground.button(mode)).to_have_attribute("aria-pressed", "true")


def test_check_35_dialogs_from_anywhere(playground):
    for key, name in (("Control+k", "Sessions"), ("Control+Shift+E", "Export")):
        for place in (playground.message, playground.number("Temperature"), playground.button("Neutral")):
            place.focus()
            playground.page.keyboard.press(key)
            expect(playground.page.get_by_role("dialog", name=name)).to_be_visible()
            playground.page.keyboard.press("Escape")
            expect(playground.page.get_by_role("dialog", name=name)).to_be_hidden()
            expect(place).to_be_focused()


def test_check_35_probabilities(playground):
    box = playground.page.get_by_role("checkbox", name="Probabilities")
    playground.message.focus()
    for shown in (False, True):
        playground.page.keyboard.press("Control+Shift+P")
        expect(box).to_be_checked(checked=shown)


def test_check_35_composer(playground):
    outside(playground)
    playground.page.keyboard.press("/")
    expect(playground.message).to_be_focused()
    expect(playground.message).to_have_value("")


def test_check_35_regenerate_and_versions(playground):
    playground.params(temperature=1)
    reply = playground.send("Tell me a story")
    first = playground.text(reply)
    playground.message.focus()
    playground.page.keyboard.press("Control+Enter")
    expect(playground.replies.last).to_contain_text("2 / 2")
    playground.finished()
    second = playground.text(playground.replies.last)
    for place in ("message", "nowhere"):
        if place == "nowhere":
            outside(playground)
        playground.page.keyboard.press("Alt+ArrowLeft")
        expect(playground.replies.last).to_contain_text("1 / 2")
        assert playground.text(playground.replies.last) == first
        playground.page.keyboard.press("Alt+ArrowRight")
        expect(playground.replies.last).to_contain_text("2 / 2")
        assert playground.text(playground.replies.last) == second
    assert playground.page.url.startswith(playground.served.url), "the browser went back"


def test_check_35_alt_arrows_move_the_caret_where_there_is_text(playground):
    """Where the platform uses them so; at least no version is changed below a text that is being written."""
    playground.send("Tell me a story")
    playground.act("Regenerate", playground.replies.last)
    playground.message.fill("a text that is being written")
    playground.page.keyboard.press("Alt+ArrowLeft")
    expect(playground.replies.last).to_contain_text("2 / 2")


def test_check_35_escape_closes_the_popover_first_and_stops_only_then(playground):
    playground.served.engine.script.hold = 20
    playground.start("Tell me a story")
    reply = playground.replies.last
    expect(reply.locator("[data-i]")).to_have_count(20)
    reply.locator(".token-view [tabindex='0']").focus()
    tip = playground.page.locator(".token-popover:popover-open")
    expect(tip).to_be_visible()
    playground.page.keyboard.press("Escape")
    expect(tip).to_have_count(0)
    expect(playground.button("Stop")).to_be_visible()
    assert not playground.ledger.last.left
    playground.page.keyboard.press("Escape")
    playground.until(lambda: playground.ledger.last.left)
    playground.finished()


FIELDS = ("System message", "Message", "Stop sequences")


def test_check_35_no_letter_fires_in_a_field(playground):
    for name in FIELDS:
        playground.box(name).focus()
        playground.page.keyboard.type("a/b? /?")
        expect(playground.box(name)).to_be_focused()
        expect(playground.box(name)).to_have_value("a/b? /?")
        expect(playground.page.get_by_role("dialog")).to_have_count(0)


def test_check_35_no_letter_fires_in_other_fields_either(playground):
    playground.send("Tell me a story")
    playground.button("Edit", playground.questions.first).click()
    box = playground.page.get_by_role("textbox", name="Edited message")
    box.fill("")
    playground.page.keyboard.type("/?")
    expect(box).to_have_value("/?")
    playground.page.keyboard.press("Escape")
    playground.mode("Raw")
    playground.box("Raw prompt").fill("")
    playground.page.keyboard.type("/?")
    expect(playground.box("Raw prompt")).to_have_value("/?")
    playground.number("Temperature").focus()
    playground.page.keyboard.type("/?")
    expect(playground.number("Temperature")).to_be_focused()
    expect(playground.page.get_by_role("dialog")).to_have_count(0)


def test_check_35_nothing_fires_behind_a_dialog(playground):
    playground.button("Export").click()
    expect(playground.page.get_by_role("dialog")).to_be_visible()
    for key in ("Alt+2", "Control+k", "?", "/", "Control+Enter"):
        playground.page.keyboard.press(key)
    expect(playground.page.get_by_role("dialog")).to_have_count(1)
    playground.page.keyboard.press("Escape")
    expect(playground.button("Chat")).to_have_attribute("aria-pressed", "true")
    assert not playground.ledger.asked


def tab_to(playground, wanted, key="Tab"):
    """Press Tab until the focus is there; whatever a person does with a mouse must be reachable so."""
    for _ in range(120):
        if wanted.evaluate("e => e === document.activeElement"):
            return
        playground.page.keyboard.press(key)
    raise AssertionError(f"Tab never comes to {wanted}")


def test_check_35_the_whole_way_by_keyboard_only(playground):
    page = playground.page
    outside(playground)
    page.keyboard.press("Tab")
    tab_to(playground, page.get_by_role("combobox", name="Preset", exact=True))
    page.keyboard.type("Creative")
    expect(playground.number("Temperature")).to_have_value("1")
    tab_to(playground, playground.message)
    page.keyboard.type("Tell me a story")
    page.keyboard.press("Enter")
    expect(playground.replies).to_have_count(1)
    playground.finished()
    expect(playground.message).to_be_focused()
    first = playground.text(playground.replies.last)
    tab_to(playground, playground.replies.last.locator(".token-view [tabindex='0']"), "Shift+Tab")
    tip = page.locator(".token-popover:popover-open")
    expect(tip.locator(".token-row").first).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(tip).to_contain_text("position 1")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(tip.get_by_role("button").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(playground.replies.last).to_contain_text("2 / 2")
    playground.finished()
    assert playground.text(playground.replies.last) != first
    page.keyboard.press("Control+Enter")
    expect(playground.replies.last).to_contain_text("3 / 3")
    playground.finished()
    page.keyboard.press("Control+Shift+E")
    dialog = page.get_by_role("dialog", name="Export")
    tab_to(playground, dialog.get_by_role("tab", selected=True))
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("tab", name="boto3")).to_be_focused()
    expect(dialog.get_by_role("tabpanel")).to_contain_text("boto3")
    tab_to(playground, dialog.get_by_role("button", name="Download"))
    with page.expect_download():
        page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_every_control_has_a_name_and_is_reached_by_tab(playground):
    playground.send("Tell me a story")
    for name in ("Theme", "Keyboard shortcuts", "Neutral", "Save as", "Copy prompt"):
        outside(playground)
        tab_to(playground, playground.button(name))
    for name in ("Copy", "Edit", "Regenerate", "Delete"):
        outside(playground)
        tab_to(playground, playground.button(re.compile(f"^{name}$"), playground.replies.last))

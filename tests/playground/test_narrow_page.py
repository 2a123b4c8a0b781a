"""A phone, and a page that is zoomed. Check 36."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .states import chat, compare, context, export, inside, keys, panel, raw, sessions

NARROW = {
    "390": {"width": 390, "height": 844},
    "320": {"width": 320, "height": 568},
    "zoom 200 %": {"width": 720, "height": 450},
    "zoom 400 %": {"width": 360, "height": 225},
}
"""In CSS pixels, as zooming a page of 1440 x 900 makes them fewer."""


@pytest.mark.parametrize(
    "state", [chat, compare, raw, context, sessions, export, keys], ids=lambda state: state.__name__
)
def test_check_36_nothing_scrolls_sideways(page_of, state):
    playground = page_of(NARROW["390"])
    state(playground)
    for size in NARROW.values():
        playground.page.set_viewport_size(size)
        for name in ("#setup", "#anatomy-panel"):
            panel(playground, name)
        inside(playground)
        for dialog in playground.page.get_by_role("dialog").all():
            if dialog.is_visible():
                box = dialog.bounding_box()
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= size["width"]
                assert box["y"] + box["height"] <= size["height"]


@pytest.mark.parametrize("width", NARROW)
def test_check_36_the_composer_can_be_reached_and_used(page_of, width):
    playground = page_of(NARROW[width])
    playground.send("Tell me a story " * 5)
    playground.message.scroll_into_view_if_needed()
    expect(playground.message).to_be_in_viewport()
    expect(playground.button("Send")).to_be_in_viewport()
    playground.send("And another")
    if width != "zoom 400 %":  # where there is hardly room for the composer
        expect(playground.replies.last.locator(".message-foot")).to_be_in_viewport()
    playground.page.get_by_role("link", name="Skip to the message").press("Enter")
    expect(playground.message).to_be_focused()
    playground.page.keyboard.type("And a third")
    playground.page.keyboard.press("Enter")
    expect(playground.replies).to_have_count(3)
    playground.finished()


def test_check_36_on_a_narrow_page_the_side_columns_are_folded_below(page_of):
    playground = page_of(NARROW["390"])
    for name in ("#setup", "#anatomy-panel"):
        assert not playground.page.locator(f"{name} > details").evaluate("details => details.open")
        assert playground.page.locator(name).bounding_box()["y"] > playground.message.bounding_box()["y"]
        panel(playground, name)
    expect(playground.number("Temperature")).to_be_visible()
    expect(playground.page.locator("#anatomy [data-i]").first).to_be_visible()

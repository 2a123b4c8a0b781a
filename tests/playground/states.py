"""The states of the page, each brought about as a person would."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from puna.errors import EngineError


def panel(playground, name):
    """Open a side panel, which is folded on a narrow page."""
    fold = playground.page.locator(f"{name} > details")
    if not fold.evaluate("details => details.open"):
        fold.locator("> summary").evaluate("summary => summary.click()")  # a dialog may lie over it


def params(playground, **values):
    """Set parameters, wherever their column is."""
    panel(playground, "#setup")
    playground.params(**values)


def empty(playground):
    """Nothing was done."""
    expect(playground.page.get_by_text("Nothing sent yet.")).to_be_attached()


def chat(playground):
    playground.served.engine.script.text = "One\n\ntwo 🦙 three four five six seven"
    params(playground, temperature=0.9)
    playground.send("Tell me a story")
    playground.act("Regenerate", playground.replies.last)


def popover(playground):
    chat(playground)
    playground.replies.last.locator(".token-view [tabindex='0']").focus()
    expect(playground.page.locator(".token-popover:popover-open")).to_be_visible()


def pruned(playground):
    params(playground, max_tokens=880)
    for n in range(3):
        playground.send(f"Question {n}: " + "llama " * 12)
    panel(playground, "#anatomy-panel")
    playground.page.locator("#anatomy summary").click()
    expect(playground.page.get_by_text("not sent, outside the context window").first).to_be_attached()


def over(playground):
    params(playground, max_tokens=990)
    playground.message.fill("llama " * 40)
    expect(playground.button("Send")).to_be_disabled()


def compare(playground):
    playground.mode("Compare")
    playground.served.engine.script.failing, playground.served.engine.script.fail_after = 0.1, 5
    playground.message.fill("Tell me a story")
    playground.button("Run all").click()
    playground.until(lambda: playground.ledger.asked)
    expect(playground.button("Run all")).to_be_visible()


def settings(playground):
    playground.mode("Compare")
    playground.button("Edit settings").first.click()
    expect(playground.page.get_by_role("dialog", name=re.compile("Settings"))).to_be_visible()


def raw(playground):
    playground.mode("Raw")
    playground.box("Raw prompt").fill(
        "<s>[INST]What? [/INST] That. <\\s><s>[INST] <<SYS>>\nx\n<</SYS>>\n \nWhy? [/INST] "
    )
    expect(playground.page.get_by_role("list", name="Findings").get_by_role("listitem").first).to_be_visible()


def error(playground):
    playground.allowed.append("status of 500")
    playground.served.engine.script.refuse = EngineError("the engine failed; see its log")
    playground.start("Tell me a story")
    expect(playground.page.get_by_role("alert")).to_be_visible()


def context(playground):
    panel(playground, "#setup")
    playground.page.get_by_text("In-context learning", exact=True).click()
    playground.page.get_by_role("button", name=re.compile("notebook")).click()
    panel(playground, "#anatomy-panel")
    expect(playground.page.locator("#anatomy [data-kind='example']").first).to_be_visible()


def lens(playground):
    chat(playground)
    panel(playground, "#anatomy-panel")
    playground.page.get_by_text("Next token (sampler lens)").click()
    playground.replies.last.locator("[data-i='1']").click()
    expect(playground.page.locator("#lens tbody tr").first).to_be_visible()


def sessions(playground):
    playground.send("Tell me a story")
    playground.until(playground.served.sessions)
    playground.button("Sessions").click()
    expect(playground.page.get_by_role("dialog").get_by_role("listitem")).to_have_count(1)


def export(playground):
    playground.send("Tell me a story")
    playground.button("Export").click()
    expect(playground.page.get_by_role("dialog").get_by_role("button", name="Copy")).to_be_enabled()


def keys(playground):
    playground.button("Keyboard shortcuts").click()
    expect(playground.page.get_by_role("dialog")).to_be_visible()


def editing(playground):
    playground.send("Tell me a story")
    playground.button("Edit", playground.questions.first).click()
    playground.page.get_by_role("textbox", name="Edited message").fill("Another")


STATES = (
    empty,
    chat,
    popover,
    pruned,
    over,
    compare,
    settings,
    raw,
    error,
    context,
    lens,
    sessions,
    export,
    keys,
    editing,
)


def inside(playground):
    """Nothing scrolls sideways."""
    wide, room = playground.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= room, f"the page is {wide} px wide in {room}"

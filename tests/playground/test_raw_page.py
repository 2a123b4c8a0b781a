"""Raw: a written prompt, what is wrong with it, and that it is sent as it stands. Checks 26 and 27."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

NOTEBOOK = {
    "<s>[INST]What is Amazon Bedrock? [/INST]": {"no-space-after-inst"},
    "<s>[INST] What is re:Invent? [/INST] ": {"trailing-space"},
    "<s>[INST] What is re:Invent? [/INST] \nIt is a conference.</s>\n<s>[INST] When was it started? [/INST]": {
        "unstripped-contents", "no-space-before-eos", "newline-between-turns",
    },
    "<s>[INST] <<SYS>>\nBe kind\n<</SYS>>\n  \nWho are you? [/INST]": {"system-blank-line"},
    "<s>[INST] What? [/INST] That. <\\s><s>[INST] Why? [/INST]": {"backslash-s-typo"},
    "[INST] What? [/INST]": {"no-bos"},
    "<s><s>[INST] What? [/INST]": {"double-bos"},
    "<s>[INST] What?": {"missing-inst-close"},
}  # fmt: skip
"""As the workshop's notebook writes prompts, or says that they are written; and the slips in each."""


@pytest.fixture
def raw(playground):
    playground.mode("Raw")
    return playground


def box(playground):
    return playground.box("Raw prompt")


def findings(playground):
    return playground.page.get_by_role("list", name="Findings").get_by_role("listitem")


def found(playground):
    """The codes of the findings that are listed."""
    listed = findings(playground).get_by_role("button").all_text_contents()
    return [text.split()[-1] for text in listed if text != "Fix"]


def test_check_26_the_notebooks_prompts_have_these_findings_and_fixing_each_mends_them(raw):
    for text, wanted in NOTEBOOK.items():
        mended(raw, text, wanted)


def mended(raw, text, wanted):
    box(raw).fill(text)
    raw.until(lambda: sorted(found(raw)), sorted(wanted))
    texts = [text]
    for left in range(len(wanted), 0, -1):
        expect(findings(raw)).to_have_count(left)
        raw.button("Fix").first.click()
        raw.until(lambda: box(raw).input_value(), lambda now: now != texts[-1])
        texts.append(box(raw).input_value())
    expect(findings(raw)).to_have_count(0)
    said = raw.served.http.post("/api/lint", json={"prompt": texts[-1]}).json()
    assert said["findings"] == []
    for before in reversed(texts[:-1]):
        box(raw).press("Control+z")
        expect(box(raw)).to_have_value(before)
    raw.until(lambda: sorted(found(raw)), sorted(wanted))


def test_check_26_a_finding_selects_its_range(raw):
    text = "🦙<s>[INST]What? [/INST]"
    box(raw).fill(text)
    expect(findings(raw).filter(has_text="no-space-after-inst")).to_have_count(1)
    findings(raw).filter(has_text="no-space-after-inst").get_by_role("button").first.click()
    start, end = box(raw).evaluate("box => [box.selectionStart, box.selectionEnd]")
    wide = text.encode("utf-16-le")
    assert (wide[2 * start : 2 * end].decode("utf-16-le") or wide[2 * start - 12 : 2 * start].decode("utf-16-le")) in {
        "[INST]",
        "[INST]W",
        "]W",
        "W",
    }
    expect(box(raw)).to_be_focused()


def test_check_26_squiggles_stand_where_the_list_says(raw):
    box(raw).fill("<s>[INST] What? [/INST] That. <\\s><s>[INST] Why? [/INST]")
    slips = raw.page.locator(".raw-mirror .raw-slip")
    expect(slips.first).to_be_visible()
    assert "<\\s>" in "".join(slips.all_text_contents())
    assert (
        raw.page.locator(".raw-mirror").evaluate("mirror => mirror.textContent.replace(/\\n$/, '')")
        == box(raw).input_value()
    )
    editor, mirror = box(raw).bounding_box(), raw.page.locator(".raw-mirror").bounding_box()
    assert abs(editor["x"] - mirror["x"]) < 1
    assert abs(editor["y"] - mirror["y"]) < 1
    assert abs(editor["width"] - mirror["width"]) < 1
    style = "e => { const s = getComputedStyle(e); return [s.font, s.padding, s.lineHeight, s.whiteSpace, s.letterSpacing, s.tabSize, s.borderWidth].join() }"
    assert box(raw).evaluate(style).replace("nowrap", "") == raw.page.locator(".raw-mirror").evaluate(style).replace(
        "nowrap", ""
    )


AS_IT_IS = (
    "<s>[INST] <<SYS>>\nBe kind\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] And? [/INST]",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<s>[INST]slips  and <\\s> all [/INST] \n",
    "Once upon a time 🦙",
)


def test_check_27_raw_text_is_sent_unchanged(raw):
    for text in AS_IT_IS:
        unchanged(raw, text)


def unchanged(raw, text):
    before = len(raw.ledger.asked)
    box(raw).fill(text)
    raw.until(lambda: raw.prompt, text)
    raw.button("Send").click()
    raw.until(lambda: len(raw.ledger.asked) > before)
    raw.finished()
    assert raw.posts("/api/generate")[-1]["prompt"] == text
    prompt = raw.ledger.last.prompt
    assert prompt.text == text
    for control, number in raw.served.engine.words.control.items():
        assert prompt.ids.count(number) == text.count(control), control
    expect(raw.page.locator("#raw .token-view [data-i]")).to_have_count(40)


def test_the_first_visit_brings_the_prompt_of_the_chat(playground):
    playground.box("System message").fill("Be kind")
    playground.message.fill("Hi there")
    playground.until(lambda: playground.prompt, lambda prompt: "Hi there" in prompt)
    prompt = playground.prompt
    playground.mode("Raw")
    expect(box(playground)).to_have_value(prompt)
    expect(playground.page.locator("#setup")).to_contain_text("not used in Raw")
    box(playground).fill(prompt + " mine")
    playground.mode("Chat")
    playground.mode("Raw")
    expect(box(playground)).to_have_value(prompt + " mine")


def test_anatomy_and_budget_follow_the_raw_text(serve, opened):
    playground = opened(serve(context=100))
    playground.params(max_tokens=40)
    playground.mode("Raw")
    box(playground).fill("<s>[INST] " + "llama " * 20 + "[/INST]")
    playground.until(lambda: playground.prompt, box(playground).input_value())
    expect(playground.page.locator("#anatomy [data-kind='user']").first).to_be_attached()
    used = len(playground.page.locator("#anatomy [data-i]").all()) + 40
    expect(playground.meter).to_have_attribute("aria-valuenow", str(used))
    box(playground).fill("<s>[INST] " + "llama " * 70 + "[/INST]")
    expect(playground.button("Send")).to_be_disabled()


def test_stop_and_seed_in_raw(raw):
    box(raw).fill("<s>[INST] Hi [/INST]")
    raw.served.engine.script.hold = 7
    raw.button("Send").click()
    tokens = raw.page.locator("#raw .token-view [data-i]")
    expect(tokens).to_have_count(7)
    raw.page.keyboard.press("Escape")
    raw.until(lambda: raw.ledger.last.left)
    raw.finished()
    expect(tokens).to_have_count(7)
    expect(raw.page.locator("#raw")).to_contain_text("stopped")
    expect(raw.page.locator("#raw")).to_contain_text(f"seed {raw.ledger.last.sampling.seed}")

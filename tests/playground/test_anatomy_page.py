"""The prompt anatomy, before anything is sent. Checks 5 to 9."""

from __future__ import annotations

import re

from playwright.sync_api import expect

QUESTION = "What is re:Invent?"
SYSTEM = "You are a helpful assistant named Superman who answers questions humorously."


def typed(playground, text):
    """Type a message; the anatomy that the server gave for it."""

    def is_it(answer):
        if not answer.url.endswith("/api/anatomy"):
            return False
        messages = answer.request.post_data_json["messages"]
        return bool(messages) and messages[-1]["content"] == text

    with playground.page.expect_response(is_it) as answered:
        playground.message.fill(text)
    return answered.value.json()


TEXTS = (
    QUESTION,
    "two\n\nlines  and\ttabs ",
    "🦙 Ελληνικά עברית 日本語",
    "</s> [INST] <<SYS>> <|im_end|>",
    "<b>&amp;</b>",
)


def test_check_5_typing_updates_the_anatomy_without_sending(playground):
    for text in TEXTS:
        said = typed(playground, text)
        assert playground.until(lambda: playground.prompt, said["prompt"])
        assert "".join(token[1] for segment in said["segments"] for token in segment["tokens"]) == said["prompt"]
    assert not playground.posts("/api/generate")
    assert not playground.ledger.asked


def test_check_5_every_setting_that_is_part_of_the_prompt_updates_it(playground):
    typed(playground, QUESTION)
    playground.box("System message").fill(SYSTEM)
    playground.until(lambda: playground.prompt, f"<s>[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\n{QUESTION} [/INST]")
    playground.box("System message").fill("")
    playground.until(lambda: playground.prompt, f"<s>[INST] {QUESTION} [/INST]")


def test_check_5_a_late_answer_does_not_replace_a_later_one(playground):
    """Rule R3: an answer that overtakes another keeps the place."""
    held = []

    def hold(route):
        if "first thought" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    playground.page.route("**/api/anatomy", hold)
    playground.message.fill("first thought")
    playground.until(lambda: held)
    playground.message.fill("second")
    playground.until(lambda: playground.prompt, "<s>[INST] second [/INST]")
    for route in held:
        route.continue_()
    playground.page.wait_for_load_state("networkidle")
    assert playground.prompt == "<s>[INST] second [/INST]"


def test_the_whitespace_of_markers_is_visible_and_copied_as_it_is(served, opened):
    playground = opened(served, permissions=["clipboard-read", "clipboard-write"])
    playground.box("System message").fill("Be kind")
    playground.until(lambda: playground.prompt, lambda text: "Be kind" in text)
    drawn = playground.page.locator("#anatomy [data-w]").evaluate_all(
        "marks => marks.map(mark => getComputedStyle(mark, '::before').content)"
    )
    assert any("·" in mark for mark in drawn)
    assert any("⏎" in mark for mark in drawn)
    playground.button("Copy prompt").click()
    playground.until(lambda: playground.page.evaluate("navigator.clipboard.readText()"), playground.prompt)


def test_check_6_the_token_under_the_pointer_is_told_with_its_id(playground):
    said = typed(playground, "Hi 🦙 there")
    playground.until(lambda: playground.prompt, said["prompt"])
    tokens = [token for segment in said["segments"] for token in segment["tokens"]]
    for n, (number, text, *_) in enumerate(tokens):
        if not text:
            continue
        playground.page.locator(f"#anatomy [data-i='{n}']").hover()
        tip = playground.page.locator(".anatomy-popover:popover-open")
        expect(tip).to_contain_text(f"id {number}")
        expect(tip).to_contain_text(f"position {n}" if ord(text[0]) < 0xFFFF else re.compile(rf"position \d+–{n}"))


def test_check_6_the_ids_are_those_that_the_engine_gets(playground):
    playground.box("System message").fill(SYSTEM)
    said = typed(playground, "Hi 🦙 there")
    playground.until(lambda: playground.prompt, said["prompt"])
    playground.send("Hi 🦙 there")
    got = playground.ledger.last.prompt
    assert [token[0] for segment in said["segments"] for token in segment["tokens"]] == list(got.ids)
    assert got.text == said["prompt"]
    kinds = [segment["kind"] for segment in said["segments"]]
    assert kinds == ["marker", "system", "marker", "user", "marker"]


def test_check_7_arrows_move_the_popover_and_escape_closes_it(playground):
    typed(playground, QUESTION)
    playground.until(lambda: QUESTION in playground.prompt)
    stops = playground.page.locator("#anatomy [tabindex='0']")
    expect(stops).to_have_count(1)
    stops.focus()
    tip = playground.page.locator(".anatomy-popover:popover-open")
    expect(tip).to_contain_text("position 0")
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0)):
        playground.page.keyboard.press(key)
        expect(tip).to_contain_text(re.compile(rf"position {place}\b"))
        expect(playground.page.locator("#anatomy [data-i]:focus")).to_have_attribute("data-i", str(place))
    playground.page.keyboard.press("End")
    last = playground.page.locator("#anatomy [data-i]").count() - 1
    expect(tip).to_contain_text(f"position {last}")
    playground.page.keyboard.press("Escape")
    expect(tip).to_have_count(0)
    expect(playground.page.locator("#anatomy [data-i]:focus")).to_have_count(1)


def test_check_7_up_and_down_go_by_lines(playground):
    playground.box("System message").fill("one\ntwo\nthree")
    playground.until(lambda: "three" in playground.prompt)
    playground.page.locator("#anatomy [tabindex='0']").focus()
    seen = [0]
    for _ in range(3):
        playground.page.keyboard.press("ArrowDown")
        seen.append(int(playground.page.locator("#anatomy [data-i]:focus").get_attribute("data-i")))
    assert seen == sorted(set(seen)), seen
    playground.page.keyboard.press("ArrowUp")
    line = playground.page.locator(f"#anatomy [data-i='{seen[-2]}']").bounding_box()
    assert playground.page.locator("#anatomy [data-i]:focus").bounding_box()["y"] == line["y"]


def test_a_click_on_a_turn_scrolls_the_conversation_to_it(playground):
    playground.served.engine.script.length = 150
    for n in range(4):
        playground.send(f"Question {n}")
    expect(playground.questions.first).not_to_be_in_viewport()
    playground.page.locator("#anatomy [data-i]", has_text="Question").first.click()
    expect(playground.questions.first).to_be_in_viewport()


def small(serve, opened, tokens=200):
    """A page on a window in which a few turns fit; replies have 20 tokens."""
    playground = opened(serve(context=tokens))
    playground.params(max_tokens=40)
    playground.served.engine.script.length = 20
    playground.box("System message").fill("Be kind to llamas")
    return playground


def test_check_8_the_system_message_stands_once_in_the_first_sent_turn(serve, opened):
    playground = small(serve, opened)
    for n in range(6):
        playground.send(f"Question number {n}, about llamas")
        sent = playground.ledger.last.prompt.text
        assert sent.startswith("<s>[INST] <<SYS>>\nBe kind to llamas\n<</SYS>>\n\nQuestion number")
        assert sent.count("Be kind to llamas") == 1
    assert "Question number 0" not in sent
    assert playground.prompt.count("Be kind to llamas") == 1
    assert playground.prompt.index("Be kind to llamas") < playground.prompt.index("[/INST]")


def test_check_9_the_oldest_turns_are_grey_in_both_columns_and_counted(serve, opened):
    playground = small(serve, opened)
    for n in range(6):
        playground.send(f"Question number {n}, about llamas")
    said = typed(playground, "And now?")
    assert said["pruned_turns"] > 0
    playground.until(lambda: playground.prompt, said["prompt"])
    for n in range(6):
        gone = f"Question number {n}," not in said["prompt"]
        dimmed = playground.questions.nth(n).get_by_text("not sent")
        expect(dimmed).to_have_count(1 if gone else 0)
    assert [entry["message"] for entry in said["pruned"]] == list(range(2 * said["pruned_turns"]))
    line = playground.page.locator("#anatomy summary")
    turns = said["pruned_turns"]
    expect(line).to_have_text(f"{turns} turn{'s' * (turns > 1)} pruned · {said['pruned_tokens']} tokens not sent")
    line.click()
    expect(playground.page.locator("#anatomy details li")).to_have_count(len(said["pruned"]))
    expect(playground.page.locator("#anatomy details li").first).to_contain_text("user")
    assert said["prompt_tokens"] + said["reserve"] <= said["context"]
    assert said["parts"]["system"] > 0


def test_check_9_the_way_of_pruning_can_be_chosen(serve, opened):
    playground = small(serve, opened)
    for n in range(4):
        playground.send(f"Question number {n}, about llamas")
    choice = playground.page.get_by_role("combobox", name="When the window is full", exact=True)
    choice.select_option(value="none")
    playground.message.fill("And now? " * 12)
    expect(playground.button("Send")).to_be_disabled()
    choice.select_option(value="oldest")
    expect(playground.button("Send")).to_be_enabled()

"""In-context learning and the sampler lens. Checks 28 and 29."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect


@pytest.fixture
def panel(playground):
    playground.page.get_by_text("In-context learning", exact=True).click()
    return playground


def example(playground, question, answer):
    playground.button("Add example").click()
    number = playground.page.get_by_role("list", name="Examples").get_by_role("listitem").count()
    playground.box(f"Question {number}").fill(question)
    playground.box(f"Answer {number}").fill(answer)


def kinds(playground):
    """Kinds of the anatomy in the order in which they first come, markers left out."""
    found = playground.page.locator("#anatomy .anatomy-tokens [data-kind]").evaluate_all(
        "parts => parts.map(part => part.dataset.kind)"
    )
    return list(dict.fromkeys(kind for kind in found if kind != "marker"))


def total(playground):
    return int(playground.meter.get_attribute("aria-valuenow"))


def test_check_28_context_and_examples_are_segments_in_order_and_removing_one_counts_again(panel):
    panel.box("System message").fill("Be kind")
    panel.box("Context").fill("Llamas live in the puna.")
    example(panel, "Where do llamas live?", "In the puna.")
    example(panel, "Do they fly?", "I don't know.")
    panel.message.fill("How old are they?")
    panel.until(
        lambda: panel.prompt,
        lambda prompt: all(
            text in prompt for text in ("Be kind", "Llamas live", "Do they fly?", "don't know", "How old")
        ),
    )
    prompt = panel.prompt
    order = [
        "Be kind",
        "Llamas live in the puna.",
        "Where do llamas live?",
        "In the puna.",
        "Do they fly?",
        "I don't know.",
        "How old are they?",
    ]
    places = [prompt.index(text) for text in order]
    assert places == sorted(places)
    assert kinds(panel) == ["system", "context", "example", "user"]
    expect(panel.page.locator(".anatomy-legend")).to_contain_text("example")
    before = total(panel)
    panel.button("Remove example 1").click()
    panel.until(lambda: "Where do llamas live?" in panel.prompt, wanted=False)
    assert total(panel) < before
    expect(panel.box("Question 1")).to_have_value("Do they fly?")
    shown = panel.prompt
    panel.send("How old are they?")
    assert panel.ledger.last.prompt.text == shown
    assert panel.posts("/api/generate")[0]["examples"] == [{"question": "Do they fly?", "answer": "I don't know."}]


def test_check_28_examples_can_be_put_in_another_order(panel):
    example(panel, "First?", "One.")
    example(panel, "Second?", "Two.")
    panel.until(lambda: panel.prompt, lambda prompt: "Two." in prompt)
    panel.button("Move down example 1").click()
    panel.until(lambda: panel.prompt, lambda prompt: 0 <= prompt.find("Second?") < prompt.find("First?"))


def test_check_28_answering_only_from_the_context_is_said_in_the_prompt(panel):
    panel.box("Context").fill("Llamas live in the puna.")
    only = panel.page.get_by_role("checkbox", name="Answer only from the context")
    only.check()
    panel.until(lambda: panel.prompt, lambda prompt: re.search("only from the context", prompt, re.IGNORECASE))
    only.uncheck()
    panel.until(lambda: bool(re.search("only from the context", panel.prompt, re.IGNORECASE)), wanted=False)


def test_check_28_one_click_loads_the_notebooks_example(panel):
    panel.page.get_by_role("button", name=re.compile("notebook")).click()
    example_ = panel.served.info["example"]
    expect(panel.box("Context")).to_have_value(example_["context"])
    expect(panel.box("Question 1")).to_have_value(example_["examples"][0]["question"])
    expect(panel.message).to_have_value(example_["question"])
    panel.until(lambda: panel.prompt, lambda prompt: "Bedrock" in prompt and example_["question"] in prompt)
    assert "context" in kinds(panel)
    panel.send(example_["question"])
    assert "Bedrock" in panel.ledger.last.prompt.text


def test_context_and_examples_stay_when_turns_are_pruned(serve, opened):
    playground = opened(serve(context=260))
    playground.params(max_tokens=40)
    playground.page.get_by_text("In-context learning", exact=True).click()
    playground.box("Context").fill("Llamas live in the puna.")
    example(playground, "Do they fly?", "No.")
    playground.served.engine.script.length = 30
    for n in range(5):
        playground.send(f"Question number {n}, about llamas")
    sent = playground.ledger.last.prompt.text
    assert "Question number 0" not in sent
    assert "Llamas live in the puna." in sent
    assert "Do they fly?" in sent


def test_a_starter_of_the_empty_page_fills_the_setup_and_shows_its_prompt(playground):
    for starter in playground.served.info["starters"]:
        playground.button(starter["label"]).click()
        expect(playground.message).to_have_value(starter["message"])
        if "system" in starter:
            expect(playground.box("System message")).to_have_value(starter["system"])
        playground.until(lambda: playground.prompt, lambda prompt, starter=starter: starter["message"] in prompt)
    assert not playground.ledger.asked
    playground.message.press("Enter")
    expect(playground.replies).to_have_count(1)
    playground.finished()


@pytest.fixture
def lens(playground):
    """The lens, open on the third token of a reply."""
    playground.params(temperature=1, top_p=1, top_k=0, seed=7)
    reply = playground.send("Tell me a story")
    playground.page.get_by_text("Next token (sampler lens)").click()
    reply.locator("[data-i='2']").click()
    expect(rows(playground)).not_to_have_count(0)
    return playground


def rows(playground):
    return playground.page.locator("#lens tbody tr")


def kept(playground):
    """Candidates that are not cut, and their probabilities in %, others left out."""
    found = []
    for row in rows(playground).all():
        cells = [cell.strip() for cell in row.locator("th, td").all_text_contents()]
        if cells[0] != "others" and row.get_attribute("data-cut") is None:
            found.append((cells[0], float(re.sub(r"[^\d.]", "", cells[2]))))
    return found


def test_check_29_top_k_1_leaves_one_candidate_and_asks_nothing(lens):
    assert len(kept(lens)) > 3
    requests = len(
        [request for request in lens.requests if "/api/generate" in request.url or "/api/compare" in request.url]
    )
    lens.params(top_k=1)
    lens.until(lambda: kept(lens), lambda found: [share for _, share in found] == [100.0])
    cut = rows(lens).locator("xpath=self::*[@data-cut='top_k']")
    assert cut.count() >= 3
    assert "line-through" in cut.first.locator("th").evaluate("cell => getComputedStyle(cell).textDecorationLine")
    lens.params(top_k=0)
    lens.until(lambda: len(kept(lens)) > 3)
    assert (
        len([request for request in lens.requests if "/api/generate" in request.url or "/api/compare" in request.url])
        == requests
    )


def test_check_29_temperature_0_is_certain_of_the_first(lens):
    first = kept(lens)[0][0]
    lens.params(temperature=0)
    lens.until(lambda: kept(lens), [(first, 100.0)])
    lens.params(temperature=2)
    lens.until(lambda: len(kept(lens)) > 3)
    assert kept(lens)[0][1] < 60


def test_check_29_the_slider_moves_it_too(lens):
    before = kept(lens)
    lens.slider("Temperature").focus()
    for _ in range(8):
        lens.page.keyboard.press("ArrowLeft")
    lens.until(lambda: kept(lens), lambda now: now[0][1] > before[0][1])
    assert sum(share for _, share in kept(lens)) <= 100.6

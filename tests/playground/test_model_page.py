"""The page against the embedded model: what a script cannot stand for. Checks 6, 11, 14, 21 and 30, and going on at a token."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from puna.models.store import folder

pytestmark = pytest.mark.model

CONTEXT = 512
TIP = ".token-popover:popover-open"


class Model:
    """``puna serve`` in a process of its own."""

    def __init__(self, home: Any) -> None:
        command = [sys.executable, "-m", "puna.cli", "serve", "--port", "0", "--context", str(CONTEXT), "--slots", "2"]
        environment = {**os.environ, "PUNA_HOME": str(home)}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready "), line
        self.url = line.split()[1]
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    @property
    def info(self) -> dict[str, Any]:
        return dict(self.http.get("/api/info").json())

    def close(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def model(tmp_path_factory, model_file) -> Iterator[Model]:
    home = tmp_path_factory.mktemp("home")
    folder(home).mkdir()
    (folder(home) / model_file.name).symlink_to(model_file)
    served = Model(home)
    yield served
    served.close()


@pytest.fixture
def page(model, opened):
    """A page on the model, greedy, with replies of 16 tokens."""
    playground = opened(model)
    playground.params(temperature=0, max_tokens=16, seed=1)
    return playground


def say(playground, text):
    """Send a message; the whole reply."""
    before = playground.replies.count()
    playground.message.fill(text)
    playground.message.press("Enter")
    expect(playground.replies).to_have_count(before + 1, timeout=30_000)
    return playground.finished()


def again(playground, act):
    """Another version of the last reply."""
    before = playground.replies.last.locator(".version-count").text_content()
    act()
    expect(playground.replies.last.locator(".version-count")).not_to_have_text(before or "", timeout=30_000)
    return playground.finished()


def test_check_6_the_anatomy_is_the_prompt_that_the_model_gets(page):
    page.box("System message").fill("You are a llama 🦙.")
    page.message.fill("Who are you? <|im_end|> ¿Qué?")
    wanted = "<|im_start|>system\nYou are a llama 🦙.<|im_end|>\n<|im_start|>user\nWho are you? <|im_end|> ¿Qué?<|im_end|>\n<|im_start|>assistant\n"
    page.until(lambda: page.prompt, wanted)
    told = [
        segment
        for request in page.requests
        if request.url.endswith("/api/anatomy")
        for segment in [request.response().json()]
    ][-1]
    ids = [token[0] for segment in told["segments"] for token in segment["tokens"]]
    reply = say(page, "Who are you? <|im_end|> ¿Qué?")
    expect(reply.locator("[data-i]").first).to_be_attached()
    receipt = page.served.http.get(reply.get_by_role("link", name="receipt").get_attribute("href")).json()
    assert receipt["usage"]["prompt"] == len(ids) == told["prompt_tokens"]
    rendered = page.served.http.post(
        "/tokenize",
        json={
            "messages": [
                {"role": "system", "content": "You are a llama 🦙."},
                {"role": "user", "content": "Who are you? <|im_end|> ¿Qué?"},
            ]
        },
    )
    assert rendered.json()["tokens"] == ids


def test_a_reply_is_shown_with_its_odds_and_can_be_left_at_any_token(page):
    reply = say(page, "Tell me a story about a llama.")
    first = page.text(reply)
    count = reply.locator("[data-i]").count()
    assert 0 < count <= 16
    reply.locator("[data-i='3']").hover()
    tip = page.page.locator(TIP)
    expect(tip).to_contain_text("position 3")
    assert 2 <= tip.locator(".token-row").count() <= 5
    start = "".join(reply.locator("[data-i]").all_text_contents()[:3])
    other = tip.locator("button:not([data-chosen])").first
    branch = again(page, other.click)
    text = page.text(branch)
    assert text.startswith(start)
    assert text != first
    page.button("Previous version", branch).click()
    assert page.text(page.replies.last) == first


def test_continue_gives_what_one_longer_reply_would_have_been(page):
    """Greedy: the model goes on after exactly the tokens that it made."""
    reply = say(page, "Tell me a story about a llama.")
    expect(reply.locator(".message-foot")).to_contain_text("cut at Max tokens (16)")
    longer = page.text(again(page, page.button("Continue", reply).click))
    page.page.mouse.move(0, 0)
    page.params(max_tokens=32)
    assert page.text(again(page, page.button("Regenerate", page.replies.last).click)) == longer


def test_check_21_the_same_seed_gives_the_same_reply(page):
    page.params(temperature=1, seed=42)
    first = page.text(say(page, "Tell me a story about a llama."))
    assert page.text(again(page, page.button("Regenerate", page.replies.last).click)) == first
    page.params(seed=43)
    assert page.text(again(page, page.button("Regenerate", page.replies.last).click)) != first


def test_check_14_panes_give_what_chat_gives(page):
    page.params(seed=42)
    page.mode("Compare")
    page.message.fill("Tell me a story about a llama.")
    page.button("Run all").click()
    regions = [page.page.get_by_role("region", name=letter, exact=True) for letter in "AB"]
    for region in regions:
        expect(region).to_contain_text(re.compile("finished|cut at Max tokens"), timeout=30_000)
    told = [page.text(region) for region in regions]
    temperatures = [params["temperature"] for params in page.posts("/api/compare")[0]["panes"]]
    page.mode("Chat")
    page.message.fill("")
    page.params(temperature=temperatures[0])
    assert page.text(say(page, "Tell me a story about a llama.")) == told[0]
    page.params(temperature=temperatures[1])
    assert page.text(again(page, page.button("Regenerate", page.replies.last).click)) == told[1]


def test_check_11_exactly_the_window_is_allowed(page):
    page.page.get_by_role("combobox", name="When the window is full").select_option(value="none")
    page.message.fill("Tell me a story about a llama. " * 8)
    page.until(lambda: "llama" in page.prompt)
    prompt = int(page.meter.get_attribute("aria-valuenow")) - 16
    page.params(max_tokens=CONTEXT - prompt + 1)
    expect(page.button("Send")).to_be_disabled()
    page.params(max_tokens=CONTEXT - prompt)
    expect(page.button("Send")).to_be_enabled()
    page.message.press("Enter")
    expect(page.replies).to_have_count(1, timeout=30_000)
    page.page.keyboard.press("Escape")
    page.finished(60)


@pytest.mark.parametrize("target", ["curl", "client"])
def test_check_30_an_exported_program_gives_the_same_text(page, tmp_path, target):
    from .test_export_page import exported, run

    page.params(temperature=0.8, seed=7)
    say(page, "Hello.")
    told = page.text(say(page, "Tell me a story about a llama."))
    assert told.strip() in run(exported(page, target), tmp_path)

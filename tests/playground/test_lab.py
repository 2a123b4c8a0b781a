"""The widgets where they are meant for: in a notebook of a real JupyterLab, driven by a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .lab_server import Lab, lab, lab_missing

ALONE = """
import asyncio, puna
from puna.widget import Anatomy, Playground, Tokens
chat = puna.Chat(engine="scripted", system="You are brief.").open()
async def pace(n):
    await asyncio.sleep(0.04)
chat.spine().engine._pace = pace
"""
BENCH = "bench = Playground(chat, temperature=0.4)\nbench"
VIEWS = """
from IPython.display import display
display(Tokens(bench.records))
display(Anatomy([{"role": "user", "content": "Is it cold?"}], chat=chat))
print("said", bench.messages, "system", bench.system, "params", bench.params)
"""
BUSY = "import time\ntime.sleep(4)\nprint('slept')"
WORDS = " ".join(f"word{n}" for n in range(40))
WAIT = 60_000


class Notebook:
    """A page of JupyterLab with the notebook. asked: addresses of all that it asked for."""

    def __init__(self, page, where: Lab) -> None:
        self.page = page
        self.where = where
        self.asked: list[str] = []
        self.problems: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("websocket", lambda socket: self.asked.append(socket.url.replace("ws://", "http://")))
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def open(self) -> Notebook:
        self.page.goto(self.where.url("notebook.ipynb"))
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=WAIT)
        self.page.get_by_text(re.compile(r"\| Idle")).first.wait_for(timeout=WAIT)
        return self

    def run(self, cell: int) -> None:
        self.page.locator(".jp-Notebook .jp-Cell .cm-content").nth(cell).click()
        self.page.keyboard.press("Shift+Enter")

    def said_by(self, cell: int):
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-OutputArea")


@pytest.fixture(scope="module")
def where(tmp_path_factory) -> Iterator[Lab]:
    why = lab_missing()
    if why:
        pytest.skip(why)
    with lab(tmp_path_factory.mktemp("lab") / "home", [ALONE, BENCH, VIEWS, BUSY]) as served:
        yield served


@pytest.fixture
def notebook(browser, where) -> Iterator[Notebook]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    opened = Notebook(context.new_page(), where).open()
    try:
        opened.run(0)
        opened.run(1)
        opened.page.locator(".puna").wait_for(timeout=WAIT)
        yield opened
        foreign = [url for url in opened.asked if not url.startswith((where.origin + "/", "blob:", "data:"))]
        assert not foreign, foreign
        assert not opened.problems, opened.problems
    finally:
        context.close()


def test_check_38_a_conversation_in_a_notebook(notebook):
    from playwright.sync_api import expect

    bench = notebook.page.locator(".puna")
    prompt, reply = bench.locator(".anatomy-tokens"), bench.locator(".token-view")
    expect(bench.get_by_role("spinbutton", name="Temperature")).to_have_value("0.4")
    bench.get_by_role("textbox", name="System message").fill("You are a poet.")
    bench.get_by_role("textbox", name="Message", exact=True).fill(f"Hello {WORDS}")
    expect(prompt).to_contain_text(
        f"You are a poet.<|im_end|>\n<|im_start|>user\nHello {WORDS}<|im_end|>", timeout=WAIT
    )
    assert not reply.count(), "nothing was sent yet"
    notebook.page.keyboard.press("Enter")
    expect(bench.get_by_text(re.compile(r"Streaming… \d+ tokens"))).to_be_visible(timeout=WAIT)
    expect(bench.get_by_role("button", name="Stop")).to_be_visible()
    expect(bench.get_by_role("status")).to_have_text("Reply finished, 43 tokens", timeout=WAIT)
    assert reply.evaluate("view => view.textContent") == f"You said: Hello {WORDS}"
    expect(prompt).to_contain_text("You said: Hello word0", timeout=WAIT)

    reply.locator("[data-i='3']").click()
    tip = bench.locator(".token-popover:popover-open")
    expect(tip).to_contain_text(re.compile(r'" word0" · id \d+ · position 3'))
    reply.locator("[data-i='3']").press("ArrowRight")
    expect(tip).to_contain_text("position 4")
    notebook.page.keyboard.press("Escape")
    expect(tip).to_have_count(0)

    notebook.run(2)
    expect(notebook.said_by(2)).to_contain_text("system You are a poet. params {'temperature': 0.4}", timeout=WAIT)
    expect(notebook.said_by(2).locator(".token-view")).to_have_text(f"You said: Hello {WORDS}", timeout=WAIT)
    expect(notebook.said_by(2).locator(".anatomy-tokens")).to_contain_text("Is it cold?<|im_end|>")


def test_a_reply_can_be_stopped_and_gone_on_from(notebook):
    from playwright.sync_api import expect

    bench = notebook.page.locator(".puna")
    reply = bench.locator(".token-view")
    bench.get_by_role("textbox", name="Message", exact=True).fill(WORDS)
    bench.get_by_role("button", name="Send").click()
    expect(reply.locator("[data-i='10']")).to_be_attached(timeout=WAIT)
    bench.get_by_role("button", name="Stop").click()
    expect(bench.get_by_role("status")).to_have_text(re.compile(r"Reply stopped, \d+ tokens"))
    kept = reply.evaluate("view => view.textContent")
    assert f"You said: {WORDS}".startswith(kept)
    assert len(kept) < len(WORDS)
    notebook.page.wait_for_timeout(300)
    assert reply.evaluate("view => view.textContent") == kept, "nothing comes after the stop"

    reply.locator("[data-i='4']").click()
    bench.get_by_role("button", name=re.compile("Continue from here with this token")).click()
    expect(bench.get_by_role("status")).to_have_text(re.compile("Reply finished"), timeout=WAIT)
    assert reply.evaluate("view => view.textContent").startswith("You said: word0 word1 word2")


def test_an_answer_streams_while_a_cell_runs(notebook):
    """The answer is made beside the kernel's own thread, so a cell that takes long does not hold it up."""
    from playwright.sync_api import expect

    bench = notebook.page.locator(".puna")
    bench.get_by_role("textbox", name="Message", exact=True).fill(WORDS)
    bench.get_by_role("button", name="Send").click()
    expect(bench.locator(".token-view [data-i='2']")).to_be_attached(timeout=WAIT)
    notebook.run(3)
    expect(bench.get_by_role("status")).to_have_text("Reply finished, 42 tokens", timeout=WAIT)
    assert "slept" not in notebook.said_by(3).inner_text()

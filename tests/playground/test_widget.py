"""The widgets without a notebook: messages of a page in, messages to it out, against the scripted engine."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("anywidget", reason="anywidget is not installed; pip install --group dev")

import puna
from puna.errors import InputError
from puna.generation import Delta, Logprob
from puna.messages import Dialog, Message, Role
from puna.playground.desk import Batch
from puna.widget import STATIC, Anatomy, Playground, Tokens

WAIT = 20
HELLO = {"system": "Be brief.", "messages": [{"role": "user", "content": "Hello there"}], "params": {}}


class Page:
    """What stands for the browser: says messages to a widget, and keeps what it hears."""

    def __init__(self, chat, monkeypatch, **setup):
        self.heard: list[dict] = []
        self.news = threading.Condition()
        monkeypatch.setattr(Playground, "send", lambda _, message, *__: self._hear(message))
        self.widget = Playground(chat, **setup)

    def _hear(self, message):
        with self.news:
            self.heard.append(message)
            self.news.notify_all()

    def say(self, **message):
        self.widget._handle_msg({"content": {"data": {"method": "custom", "content": message}}, "buffers": []})

    def until(self, true):
        with self.news:
            assert self.news.wait_for(lambda: any(map(true, self.heard)), WAIT), self.heard
            return next(filter(true, self.heard))

    def records(self, number):
        return [
            record for message in self.heard if message.get("id") == number for record in message.get("records", [])
        ]

    def finished(self, number):
        self.until(
            lambda m: m.get("id") == number and any(r["type"] in {"done", "error"} for r in m.get("records", []))
        )
        return self.records(number)


@pytest.fixture
def chat():
    with puna.Chat(engine="scripted", system="Be brief.", history=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]) as made:  # fmt: skip
        yield made.open()


@pytest.fixture
def engine(chat):
    return chat.spine().engine


@pytest.fixture
def page(chat, monkeypatch):
    made = Page(chat, monkeypatch, temperature=0.3)
    yield made
    made.widget.close()


def test_it_begins_with_the_chats_conversation_and_the_models_facts(page):
    widget = page.widget
    assert widget.system == "Be brief."
    assert [message["content"] for message in widget.messages] == ["Hi", "Yes?"]
    assert widget.params == {"temperature": 0.3}
    assert widget.info["model"] == "scripted"
    assert {param["name"] for param in widget.info["params"]} >= {"temperature", "top_p", "max_tokens", "seed"}
    assert set(widget.modules) == {"anatomy", "tokens"}


def test_anatomy_answers_with_the_number_of_the_question(page):
    page.say(type="anatomy", seq="7", body=HELLO)
    told = page.until(lambda m: m["type"] == "anatomy")
    assert told["seq"] == "7"
    texts = [token[1] for segment in told["data"]["segments"] for token in segment["tokens"]]
    assert "".join(texts) == told["data"]["prompt"]
    assert "Hello there" in told["data"]["prompt"]


def test_an_answer_comes_as_the_records_of_the_page(page):
    page.say(type="generate", id="a", body=HELLO)
    first, *tokens, last = page.finished("a")
    assert first["type"] == "start"
    assert last["type"] == "done"
    assert "".join(token["t"] for token in tokens) == "You said: Hello there"
    assert page.widget.records == tokens


def test_many_tokens_go_in_few_messages_and_none_waits_for_the_next(page, engine):
    engine._answer = lambda *_: " ".join(str(n) for n in range(2000))
    began = time.monotonic()
    page.say(type="generate", id="a", body={**HELLO, "params": {"max_tokens": 2000}})
    assert len(page.finished("a")) == 2002
    assert len(page.heard) <= 31 * (time.monotonic() - began) + 2

    held = threading.Event()
    engine._pace = lambda n: asyncio.to_thread(held.wait) if n == 3 else asyncio.sleep(0)
    page.say(type="generate", id="b", body=HELLO)
    page.until(lambda m: m.get("id") == "b" and m["records"][-1].get("i") == 2)
    held.set()


@pytest.mark.parametrize("end", ["stop", "close"])
def test_stop_and_closing_end_the_generation(page, engine, end):
    engine._pace = lambda n: asyncio.sleep(0 if n < 2 else 600)
    page.say(type="generate", id="a", body=HELLO)
    page.until(lambda m: m.get("id") == "a" and any(record.get("i") == 1 for record in m["records"]))
    assert len(engine.slots._numbers) == 3
    if end == "stop":
        page.say(type="stop", id="a")
    else:
        page.widget.close()
    assert page.widget._desk._tasks == {}
    assert [record["type"] for record in page.records("a")] == ["start", "tok", "tok"]
    assert page.widget.records == page.records("a")[1:]
    assert len(engine.slots._numbers) == 4, "its slot is free again"


def test_a_stop_of_what_has_ended_and_an_unknown_message_do_nothing(page, caplog):
    page.say(type="stop", id="never")
    page.say(type="dance")
    assert page.heard == []
    assert "dance" in caplog.text


def test_what_cannot_be_answered_is_told_in_words(page, engine):
    page.say(type="anatomy", seq="1", body={"messages": 3})
    told = page.until(lambda m: m.get("seq") == "1")
    assert told["type"] == "error"
    assert told["message"].startswith("messages must be a list")
    page.say(type="generate", id="2", body={**HELLO, "params": {"max_tokens": 999_999}, "policy": "none"})
    assert page.until(lambda m: m.get("id") == "2")["code"] == "context_window"
    page.say(type="generate", id="3", body=None)
    assert page.until(lambda m: m.get("id") == "3")["code"] == "input"
    engine._fail_after = 2
    page.say(type="generate", id="4", body=HELLO)
    *_, last = page.finished("4")
    assert last["type"] == "error"
    assert "fails after 2 pieces" in last["message"]


def test_an_unforeseen_failure_leaves_nobody_waiting(page, monkeypatch, caplog):
    async def fail(_):
        raise ZeroDivisionError

    monkeypatch.setattr(page.widget._desk._bench, "anatomy", fail)
    page.say(type="anatomy", seq="1", body=HELLO)
    told = page.until(lambda m: m.get("seq") == "1")
    assert (told["type"], told["code"]) == ("error", "internal")
    assert "ZeroDivisionError" in caplog.text


def test_a_given_chat_stays_open_and_an_own_model_is_closed(page, chat, monkeypatch):
    page.widget.close()
    page.widget.close()
    assert chat.send("again").text == "You said: again"
    own = Page(None, monkeypatch, engine="scripted", system="A poet.").widget
    assert (own.system, own.messages) == ("A poet.", [])
    assert own._own is not None
    spine = own._own.spine()
    assert spine is not None
    own.close()
    assert not spine.engine.ready


@pytest.mark.parametrize(
    ("chat_", "setup", "words"),
    [
        (None, {"engine": "scripted", "policy": "newest"}, "policy"),
        (None, {"engin": "scripted"}, "setting"),
        (None, {"engine": "scripted", "temperature": 9}, "temperature"),
        ("model", {}, "puna.Chat"),
    ],
)
def test_what_cannot_be_opened_is_refused(chat_, setup, words):
    with pytest.raises(InputError, match=words):
        Playground(chat_, **setup)


def test_settings_beside_a_chat_are_refused(chat):
    with pytest.raises(InputError, match="which the chat has already"):
        Playground(chat, context=100)


def test_anatomy_of_messages_of_text_and_of_data(chat):
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    of_messages = Anatomy(messages, chat=chat).data
    assert "Be kind." in of_messages["prompt"]
    assert (
        Anatomy(Dialog((Message(Role.USER, "Hello"),)), chat=chat).data["prompt_tokens"] < of_messages["prompt_tokens"]
    )
    assert (
        Anatomy("<|im_start|>user\nHi<|im_end|>", engine="scripted").data["prompt"] == "<|im_start|>user\nHi<|im_end|>"
    )
    assert Anatomy(of_messages).data == of_messages


def test_tokens_of_records_of_pieces_and_of_a_reply(page, chat):
    page.say(type="generate", id="a", body=HELLO)
    records = page.finished("a")
    assert Tokens(records, heat=False).tokens == page.widget.records
    llama = "🦙".encode()
    halves = tuple(Logprob(n, llama[n : n + 2], -0.5) for n in (0, 2))
    joined = Tokens([Delta("🦙", 2, halves), Delta(" ok", 1, ())]).tokens
    assert [token["t"] for token in joined] == ["", "🦙", " ok"]
    assert [token.get("bytes") for token in joined] == ["f09f", "a699", None]
    assert Tokens(chat.send("Hello")).tokens[0]["t"] == "You said: Hello"


def test_check_38_the_views_import_nothing():
    """A notebook takes one module's text; nothing in it may need an address."""
    for name in ("anatomy", "tokens", "lens"):
        text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
        assert not re.search(
            r"^\s*import\b|\bimport\s*\(|\bfrom\s+[\"']|\bfetch\s*\(|XMLHttpRequest|https?://", text, re.MULTILINE
        ), name
        assert "export default" in text or name == "lens"


def test_the_widgets_page_asks_no_server():
    text = (STATIC / "widget.js").read_text(encoding="utf-8")
    assert re.findall(r"^\s*import\b.*|\bimport\s*\(.*?\)", text, re.MULTILINE) == ["import(url)"]
    assert not re.search(r"\bfetch\s*\(|XMLHttpRequest|WebSocket|https?://|innerHTML|\.style\.cssText", text)


def test_without_anywidget_a_sentence_says_what_to_install():
    code = "import sys; sys.modules['anywidget'] = None\ntry:\n import puna.widget\nexcept Exception as error:\n print(type(error).__name__, error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "InputError puna.widget needs anywidget; install puna[jupyter]"


def test_a_batch_sends_the_first_at_once_and_the_rest_together():
    async def play():
        sent: list[list] = []
        batch = Batch(sent.append)
        batch.add({"n": 0})
        await asyncio.sleep(0.005)
        for n in (1, 2, 3):
            batch.add({"n": n})
        assert sent == [[{"n": 0}]]
        await asyncio.sleep(0.06)
        assert sent == [[{"n": 0}], [{"n": 1}, {"n": 2}, {"n": 3}]]
        batch.flush()
        assert len(sent) == 2

    asyncio.run(play())


def test_each_widget_is_also_seen_where_no_kernel_runs(page, chat):
    for widget in (
        page.widget,
        Anatomy([{"role": "user", "content": "Hi"}], chat=chat),
        Tokens([{"t": "Hello", "lp": -0.5}]),
    ):
        bundle = widget._repr_mimebundle_()[0]
        assert bundle["text/html"] == widget.still()
        assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "Yes?" in page.widget.still()

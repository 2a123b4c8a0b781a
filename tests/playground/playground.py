"""The page as a person uses it: what is said and pressed, by the names that are read out. Knows no test."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .browser import SECONDS
from .served import Served
from .storyteller import Ledger

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page, Request

Json = dict[str, Any]
T = TypeVar("T")

JOINED = "root => [...root.querySelectorAll('[data-i]')].map(token => token.textContent).join('')"
"""The text of all tokens in an element, nothing added between them."""


class Playground:
    """A page on a server. problems: what its console said; hosts: of all that it asked for."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page = page
        self.served = served
        self.problems: list[str] = []
        self.requests: list[Request] = []
        self.allowed: list[str] = []
        page.on("request", self._asked)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))

    def _asked(self, request: Request) -> None:
        self.requests.append(request)

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            where = message.location.get("url", "").removeprefix(self.served.url)
            self.problems.append(f"{message.text} ({where})")

    def check(self) -> None:
        """Nothing was asked of another host, and the console has no complaint but those that a test allows (1, 3)."""
        foreign = [
            request.url
            for request in self.requests
            if not request.url.startswith((self.served.url + "/", "blob:", "data:"))
        ]
        assert not foreign, foreign
        left = [text for text in self.problems if not any(re.search(pattern, text) for pattern in self.allowed)]
        assert not left, "\n".join(left)

    def open(self, path: str = "/") -> Playground:
        """Load it, and wait until it knows its server and has counted the empty prompt."""
        self.page.goto(self.served.url + path)
        return self.ready()

    def reload(self) -> Playground:
        """Load it again."""
        self.page.reload()
        return self.ready()

    def ready(self) -> Playground:
        """Wait until the page knows its server and has drawn a prompt."""
        from playwright.sync_api import expect

        expect(self.page.locator("#model")).not_to_be_empty()
        expect(self.page.locator("#anatomy [data-i], #anatomy .anatomy-untold:not([hidden])").first).to_be_attached()
        return self

    def button(self, name: str | re.Pattern[str], within: Locator | None = None) -> Locator:
        """A button by its exact name."""
        return (within or self.page).get_by_role("button", name=name, exact=True)

    def box(self, name: str) -> Locator:
        """A text box by its exact name."""
        return self.page.get_by_role("textbox", name=name, exact=True)

    def number(self, label: str) -> Locator:
        """A parameter's number."""
        return self.page.get_by_role("spinbutton", name=label, exact=True)

    def slider(self, label: str) -> Locator:
        """A parameter's range."""
        return self.page.get_by_role("slider", name=label, exact=True)

    @property
    def message(self) -> Locator:
        """Where the next message is written."""
        return self.box("Message")

    @property
    def meter(self) -> Locator:
        """The budget bar."""
        return self.page.get_by_role("meter")

    @property
    def banner(self) -> Locator:
        """The bar that tells of errors."""
        return self.page.locator("#banner")

    @property
    def status(self) -> Locator:
        """The words in the header."""
        return self.page.locator("#status")

    def mode(self, name: str) -> None:
        """Go to Chat, Compare or Raw."""
        from playwright.sync_api import expect

        self.button(name).click()
        expect(self.button(name)).to_have_attribute("aria-pressed", "true")

    def set(self, label: str, value: object) -> None:
        """Type a parameter's number."""
        self.number(label).fill(str(value))
        self.number(label).press("Enter")

    def params(self, **values: object) -> None:
        """Several of them, by their names: ``max_tokens=20``."""
        labels = {
            entry["label"]: values[entry["name"]] for entry in self.served.info["params"] if entry["name"] in values
        }
        assert len(labels) == len(values), values
        for label, value in labels.items():
            self.set(label, value)

    def start(self, text: str) -> None:
        """Send a message, and wait until the engine has it."""
        before = len(self.ledger.asked)
        self.message.fill(text)
        self.message.press("Enter")
        self.until(lambda: len(self.ledger.asked) > before)

    def send(self, text: str) -> Locator:
        """Send a message and wait for the whole reply, which is the last message then."""
        self.start(text)
        return self.finished()

    def finished(self, seconds: float = 20) -> Locator:
        """Wait until nothing is streamed any more; the last reply."""
        from playwright.sync_api import expect

        expect(self.button("Send")).to_be_visible(timeout=1000 * seconds)
        return self.replies.last

    def act(self, name: str, within: Locator) -> None:
        """Press a button that makes the model answer, and wait for the end."""
        before = len(self.ledger.asked)
        self.button(name, within).click()
        self.until(lambda: len(self.ledger.asked) > before)
        self.finished()

    @property
    def ledger(self) -> Ledger:
        """What the engine was asked."""
        return self.served.engine.ledger

    def until(self, look: Callable[[], T], wanted: Callable[[T], bool] | object = bool, seconds: float = SECONDS) -> T:
        """What ``look`` gives, once it is as wanted: equal to a value, or true by a function. The page lives on meanwhile."""
        end = time.monotonic() + seconds
        while True:
            found = look()
            if wanted(found) if callable(wanted) else found == wanted:
                return found
            assert time.monotonic() < end, f"not within {seconds} s: {found!r:.2000}\nwanted: {wanted!r:.2000}"
            self.page.wait_for_timeout(15)

    @property
    def replies(self) -> Locator:
        """The replies of the branch that is shown."""
        return self.page.locator("#chat").get_by_role("group", name=re.compile(r"^Reply \d+$"))

    @property
    def questions(self) -> Locator:
        """The user's messages of the branch that is shown."""
        return self.page.locator("#chat").get_by_role("group", name=re.compile(r"^User message \d+$"))

    @staticmethod
    def text(within: Locator) -> str:
        """The text of a token view, exactly."""
        return str(within.locator(".token-view").evaluate(JOINED))

    @property
    def prompt(self) -> str:
        """The text of the anatomy, exactly."""
        return str(self.page.locator("#anatomy").evaluate(JOINED))

    def posts(self, path: str) -> list[Json]:
        """The bodies that were posted to a path, in order."""
        return [
            dict(request.post_data_json or {})
            for request in self.requests
            if request.url == self.served.url + path and request.method == "POST"
        ]


def new_context(browser: Any, served: Served, **setup: Any) -> BrowserContext:
    """A context of 1440 x 900 unless told otherwise, in which a step that takes too long fails."""
    context: BrowserContext = browser.new_context(
        base_url=served.url, **{"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce", **setup}
    )
    context.set_default_timeout(1000 * SECONDS)
    return context

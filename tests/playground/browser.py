"""Debian's Chromium, driven by Playwright, for the tests of this folder; and why there is none, where there is none."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync"]  # fmt: skip
CHROMIUM = os.environ.get("PUNA_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
"""Read at once, since a test's environment has no setting of the user's."""

SECONDS = 10
"""After which a step or an expectation fails."""


def missing() -> str | None:
    """Why no browser can be driven here."""
    if find_spec("playwright") is None:
        return "Playwright is not installed; pip install --group dev"
    if CHROMIUM is None:
        return "no Chromium is found; apt-get install chromium, or name one in PUNA_CHROMIUM"
    return None


@contextmanager
def chromium() -> Iterator[tuple[Browser, asyncio.AbstractEventLoop]]:
    """A browser, and the event loop that Playwright leaves marked as this thread's running one."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=1000 * SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        try:
            yield browser, asyncio.get_running_loop()
        finally:
            browser.close()


@contextmanager
def running(loop: asyncio.AbstractEventLoop | None) -> Iterator[None]:
    """Have a loop marked as running in this thread, or none: Playwright needs its own, and asyncio.run needs none."""
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(before)

"""One Chromium and one server for the whole folder; each test has a page of its own, and the server as new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .browser import chromium, missing, running
from .playground import Playground, new_context
from .served import Served

Opened = Callable[..., Playground]
Serve = Callable[..., Served]


@pytest.fixture(scope="package")
def _browser() -> Iterator[Any]:
    why = missing()
    if why:
        pytest.skip(why)
    with chromium() as (browser, loop), running(None):
        yield browser, loop


@pytest.fixture
def browser(_browser) -> Iterator[Any]:
    """The browser. Only while such a test runs does its loop count as running: others call asyncio.run."""
    found, loop = _browser
    with running(loop):
        yield found


@pytest.fixture(scope="package")
def _served(tmp_path_factory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("playground")) as served:
        yield served


@pytest.fixture
def served(_served: Served) -> Served:
    """The server: Llama 2's format, a window of 4096 tokens, no sessions."""
    _served.reset()
    return _served


@pytest.fixture
def serve(tmp_path) -> Iterator[Serve]:
    """Makes another server: ``serve(context=200)``."""
    with ExitStack() as stack:
        yield lambda **setup: stack.enter_context(Served(tmp_path, **setup))


@pytest.fixture
def opened(browser) -> Iterator[Opened]:
    """Opens a page on a server, in a context of its own: ``opened(served, color_scheme="dark")``; checked at the end."""
    pages: list[Playground] = []
    with ExitStack() as stack:

        def opened(served: Served, *, path: str | None = "/", context: Any = None, **setup: Any) -> Playground:
            if context is None:
                context = new_context(browser, served, **setup)
                stack.callback(context.close)
            pages.append(Playground(context.new_page(), served))
            return pages[-1] if path is None else pages[-1].open(path)

        yield opened
        for page in pages:
            page.check()


@pytest.fixture
def playground(served: Served, opened: Opened) -> Playground:
    """A page on the server, in which nothing was said yet."""
    return opened(served)


@pytest.fixture
def page_of(serve: Serve, opened: Opened) -> Callable[[dict[str, int]], Playground]:
    """Opens a page of a size on a window in which little has room: ``page_of({"width": 390, "height": 844})``."""
    return lambda viewport: opened(serve(context=1000), viewport=viewport)

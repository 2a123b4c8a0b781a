"""How quick is the playground, in a real browser? The figures of its specification, each with the bound that it must keep.

Method: Debian's Chromium, headless, 1440 x 900, driven by Playwright; the endpoint in the same process over the storyteller of
tests/playground, an engine without a model that sends tokens on an absolute schedule, each with its id and ten alternatives; loopback, nothing
cached: each run has a browser context of its own. In the page a callback per animation frame notes the time and how many tokens
are in the document; clocks are the machine's own on both sides.

usable: from the start of the navigation until the model's name is shown, which is when a message can be sent; median and worst of the runs.
transferred, requests: of a whole visit, with what is fetched a few seconds later. late: a token's time in the page less its time in the schedule, the
worst of a reply; for the panes, the last token of the last pane. frame: the longest time between two frames while tokens come. mounted: from
the call that draws a prompt of 32,000 tokens until the browser has laid it out; drawn: until the second frame after it.
Figures are bounded in the median of the runs. Browser and server need two cores for themselves: the load of the machine is told.

Run: python -m benchmarks.ui [--runs N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.playground.browser import chromium, missing
from tests.playground.playground import Playground, new_context
from tests.playground.served import Served
from tests.playground.storyteller import Asked

PACE, TOKENS, PANES, LONG = 300, 1500, 4, 32_000

BOUNDS = {
    "usable_s": 1.5,
    "transferred_kb": 150,
    "requests": 25,
    "reply_late_s": 0.5,
    "reply_frame_s": 0.2,
    "panes_late_s": 1.0,
    "mounted_s": 0.5,
}
"""Of the specification: "under" for the first three, "at most" for the others."""

FRAMES = """
window.seen = [];
window.usable = null;
const look = (now) => {
  if (window.usable === null && document.getElementById("model")?.textContent) window.usable = performance.now();
  const views = [...document.querySelectorAll("main section:not([hidden]) .token-view")];
  window.seen.push([now, performance.timeOrigin + performance.now(), views.map((view) => view.getElementsByTagName("span").length)]);
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""

MOUNT = """async (talk) => {
  const answer = await fetch("/api/anatomy", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(talk)});
  const data = await answer.json();
  const { mount } = await import("/static/anatomy.js");
  const root = document.createElement("div");
  root.style.setProperty("height", "600px");
  document.getElementById("anatomy").replaceWith(root);
  await new Promise(requestAnimationFrame);
  const begun = performance.now();
  mount(root).update(data);
  root.getBoundingClientRect();
  const mounted = performance.now();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return [data.prompt_tokens, (mounted - begun) / 1000, (performance.now() - begun) / 1000];
}"""

Frame = tuple[float, float, list[int]]
"""When it began, in the page's milliseconds; when it was looked at, in milliseconds since 1970; tokens in each view then."""

Figures = dict[str, float]


@contextmanager
def page(browser: Any, served: Served) -> Iterator[Playground]:
    """A page in a context of its own, from an empty cache."""
    context = new_context(browser, served)
    context.add_init_script(FRAMES)
    try:
        yield Playground(context.new_page(), served)
    finally:
        context.close()


def loading(browser: Any, served: Served) -> Figures:
    """A visit from nothing to everything."""
    with page(browser, served) as visit:
        visit.open()
        usable = visit.page.evaluate("window.usable") / 1000
        visit.until(lambda: any(request.url.endswith("/sessions.js") for request in visit.requests), seconds=20)
        visit.page.wait_for_load_state("networkidle")
        asked = [request for request in visit.requests if request.response()]
        sizes = [request.sizes() for request in asked]
        size = sum(found["responseHeadersSize"] + found["responseBodySize"] for found in sizes)
        return {"usable_s": usable, "transferred_kb": size / 1000, "requests": len(visit.requests)}


def lateness(frames: Sequence[Frame], view: int, asked: Asked) -> list[float]:
    """Seconds by which each token of a view was later than its time, shape (tokens,)."""
    late: list[float] = []
    for _, at, counts in frames:
        shown = counts[view] if view < len(counts) else 0
        late.extend(at / 1000 - (asked.began + n / PACE) for n in range(len(late), shown))
    assert len(late) == TOKENS, f"{len(late)} of {TOKENS} tokens are shown"
    return late


def longest(frames: Sequence[Frame]) -> float:
    """Seconds of the longest frame while tokens came."""
    moving = [now[0] for before, now in itertools.pairwise(frames) if now[2] != before[2]]
    return max(b[0] - a[0] for a, b in itertools.pairwise(frames) if moving[0] <= a[0] and b[0] <= moving[-1]) / 1000


def reply(browser: Any, served: Served) -> Figures:
    """One long reply in Chat."""
    with page(browser, served) as visit:
        visit.open()
        visit.params(max_tokens=TOKENS, seed=1)
        visit.send("Tell me a long story")
        frames: list[Frame] = visit.page.evaluate("window.seen")
        late = lateness(frames, 0, visit.ledger.last)
        return {"reply_late_s": max(late), "reply_frame_s": longest(frames)}


def panes(browser: Any, served: Served) -> Figures:
    """Four of them at once, in Compare."""
    with page(browser, served) as visit:
        visit.open()
        visit.params(max_tokens=TOKENS, seed=1)
        visit.mode("Compare")
        for _ in range(PANES - 2):
            visit.button("Add pane").click()
            visit.page.keyboard.press("Escape")
        before = len(visit.ledger.asked)
        visit.message.fill("Tell me a long story")
        visit.button("Run all").click()
        visit.until(lambda: len(visit.ledger.asked) == before + PANES)
        visit.button("Run all").wait_for(timeout=30_000)
        frames: list[Frame] = visit.page.evaluate("window.seen")
        began = min(visit.ledger.asked[before:], key=lambda asked: asked.began)
        late = [lateness(frames, view, began) for view in range(PANES)]
        return {"panes_late_s": max(tokens[-1] for tokens in late), "panes_frame_s": longest(frames)}


def mounting(browser: Any, served: Served) -> Figures:
    """A prompt as long as the largest windows."""
    turns = [{"role": role, "content": " llama" * (LONG // 64)} for _ in range(32) for role in ("user", "assistant")]
    with page(browser, served) as visit:
        visit.open()
        tokens, mounted, drawn = visit.page.evaluate(
            MOUNT, {"messages": [*turns, {"role": "user", "content": "And now?"}]}
        )
        assert tokens >= LONG, tokens
        return {"mounted_s": mounted, "drawn_s": drawn}


PARTS: Sequence[Callable[[Any, Served], Figures]] = (loading, reply, panes, mounting)


def measured(runs: int) -> dict[str, list[float]]:
    """Each figure's values, run by run."""
    found: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Served(Path(folder), context=2 * LONG) as served,
        chromium() as (browser, _),
    ):
        for part, n in itertools.product(PARTS, range(runs)):
            served.reset()
            served.engine.script.length, served.engine.script.pace = TOKENS, PACE
            figures = part(browser, served)
            for name, value in figures.items():
                found.setdefault(name, []).append(value)
            told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
            print(f"{part.__name__} {n + 1}: {told}", file=sys.stderr)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    why = missing()
    if why:
        raise SystemExit(why)
    began, load = time.monotonic(), os.getloadavg()[0]
    figures: dict[str, dict[str, object]] = {}
    for name, values in measured(runs).items():
        median, bound = statistics.median(values), BOUNDS.get(name)
        reached = None if bound is None else median < bound
        figures[name] = {"median": round(median, 4), "worst": round(max(values), 4), "bound": bound, "reached": reached}
        print(
            f"{name:16} {median:9.3f}  worst {max(values):9.3f}  "
            + ("" if bound is None else f"bound {bound}  {'reached' if reached else 'MISSED'}")
        )
    seconds = round(time.monotonic() - began)
    print(
        json.dumps(
            {"benchmark": "ui", "runs": runs, "seconds": seconds, "load_before": round(load, 1), "figures": figures}
        )
    )


if __name__ == "__main__":
    main()

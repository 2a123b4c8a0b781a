"""A sweep's progress on standard error: a bar on a terminal, plain lines elsewhere. Knows rich, and nothing of experiments but ``Progress``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from puna.experiments.sweep import Progress, Tell

EVERY = 10.0
"""Seconds between two plain lines."""


@contextmanager
def shown() -> Iterator[Tell]:
    """What a sweep tells its progress to."""
    if sys.stderr.isatty():
        with _bar() as tell:
            yield tell
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[told]}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5) as bar:
        task = bar.add_task("starting", total=None, told="")

        def tell(progress: Progress) -> None:
            if progress.phase == "answers":
                at, of = progress.done + progress.failed, progress.planned
            else:
                at, of = progress.step or (0, 0)
            bar.update(task, description=progress.phase, completed=at, total=of or None, told=told(progress))

        yield tell


def _lines() -> Tell:
    """A line for each phase, and one every ten seconds in it."""
    printed: dict[str, float] = {}

    def tell(progress: Progress) -> None:
        now = time.monotonic()
        name = f"{progress.target}: {progress.phase}"
        if now - printed.get(name, -EVERY) >= EVERY:
            printed[name] = now
            print(f"puna: {name}{': ' if told(progress) else ''}{told(progress)}", file=sys.stderr, flush=True)

    return tell


def told(progress: Progress) -> str:
    """How far, how fast and how long still, in a line."""
    if progress.phase != "answers":
        return "" if progress.step is None else f"{progress.step[0]} of {progress.step[1]}"
    words = [f"{progress.done} of {progress.planned} done"]
    if progress.reused:
        words[0] += f" ({progress.reused} taken over)"
    if progress.failed:
        words.append(f"{progress.failed} failed")
    if progress.tokens and progress.seconds > 0:
        words.append(f"{progress.tokens / progress.seconds:.0f} tokens/s")
    if progress.stopping:
        return ", ".join([*words, f"finishing {progress.running}"])
    left = time_left(progress)
    if left is not None:
        words.append(f"{duration(left)} left")
    return ", ".join(words)


def time_left(progress: Progress) -> float | None:
    """Seconds, if it goes on as it has gone; None while nothing can be said."""
    made = progress.done + progress.failed - progress.reused
    if made < 1 or not progress.left or progress.seconds <= 0:
        return None
    return progress.seconds / made * progress.left


def duration(seconds: float) -> str:
    """At least ``0.1 s``; ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{max(seconds, 0.1):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

"""A pull's progress on the terminal. Knows rich, and nothing of pulling."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from puna.models.transfer import Progress, Report


@contextmanager
def on_terminal() -> Iterator[Report]:
    """A progress callback: a bar on a terminal, one line per phase elsewhere. Nothing is shown before it is called."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Report]:
    from rich.console import Console  # rich costs 50 ms, and most commands pull nothing
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
               TimeRemainingColumn())  # fmt: skip
    bars: list[Bar] = []

    def show(progress: Progress) -> None:
        if not bars:
            bars.append(Bar(*columns, console=Console(stderr=True)))
            bars[0].start()
            bars[0].add_task(progress.phase, total=progress.total)
        bars[0].update(bars[0].task_ids[0], description=progress.phase, completed=progress.done, total=progress.total)

    try:
        yield show
    finally:
        for bar in bars:
            bar.stop()


def _lines() -> Report:
    phases: list[str] = []

    def show(progress: Progress) -> None:
        if progress.phase not in phases:
            phases.append(progress.phase)
            size = f" ({progress.total / 1e6:.0f} MB)" if progress.total else ""
            print(f"puna: {progress.phase}{size}", file=sys.stderr, flush=True)

    return show

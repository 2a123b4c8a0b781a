"""How cells and counts are called where people read them. Knows cells; computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from puna.experiments.plan import Cell

COORDINATES = ("prompt", "case", "target", "system", "format", "variant")
"""What tells a cell from all others of a run, in the order in which it is told."""


def labeller(cells: Iterable[Cell], but: Iterable[str] = ()) -> Callable[[Cell], str]:
    """Labels with every coordinate that these cells differ in and no other; of cells that differ in none, the prompt.

    but: coordinates that go without saying, where two targets are set side by side for instance.
    """
    cells, known = tuple(cells), set(but)
    varying = [
        name for name in COORDINATES if name not in known and len({getattr(cell, name) for cell in cells}) > 1
    ] or ["prompt"]
    return lambda cell: ", ".join(filter(None, (getattr(cell, name) for name in varying))) or "(no name)"


def named(name: str, value: str) -> str:
    """A coordinate with its value: ``system pirate``, but ``system 1`` where it is called so."""
    return value if value.startswith(f"{name} ") else f"{name} {value}"


def counted(n: int, what: str) -> str:
    """``1 cell``, ``2 cells``."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"

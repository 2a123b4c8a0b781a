"""Where a message stands in a written prompt."""

from __future__ import annotations

from dataclasses import dataclass

from puna.messages import Role


@dataclass(frozen=True, slots=True)
class Span:
    """A message whose content is at characters [start, end). stray: it stands outside every turn."""

    role: Role
    start: int
    end: int
    stray: bool = False

"""A family: what writes its turns and what reads them back, by one value."""

from __future__ import annotations

from dataclasses import dataclass

from puna.formats.base import Parsed
from puna.formats.reader import read
from puna.formats.turns import TurnWriter


@dataclass(frozen=True)
class Family(TurnWriter):
    """One family's chat format. Takes what ``TurnWriter`` takes."""

    def parse(self, text: str) -> Parsed:
        """The dialog in a prompt, slips and all. Linear in the length of the text.

        Raises:
            DialogError: no message of the family begins in the text, or one has a role that puna does not know.
        """
        return read(self, text)

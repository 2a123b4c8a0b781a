"""What each of llama.cpp's slots holds, as llama.cpp told it, and which slot suits a prompt. Knows no HTTP.

llama.cpp would choose by itself. But what is copied into a slot must not be overwritten before it is used, so puna gives out the
numbers, and chooses as llama.cpp does: the free slot whose tokens begin most like the prompt, if a tenth of it at least, else the
one that has rested longest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ALIKE = 0.1
"""Share of a prompt that a slot must hold to be chosen for that (llama.cpp's slot_prompt_similarity)."""


class Contents:
    """The tokens in the cache of each of so many slots, all of them empty at first."""

    def __init__(self, slots: int) -> None:
        self._held: list[list[int]] = [[] for _ in range(slots)]

    def best(self, ids: Sequence[int], free: Sequence[int]) -> int:
        """The slot for a prompt. free: the least recently used first."""
        kept = {slot: self.common(slot, ids) for slot in free}
        best = max(free, key=lambda slot: kept[slot])
        return best if kept[best] > ALIKE * len(ids) else free[0]

    def common(self, slot: int, ids: Sequence[int]) -> int:
        """How many of a prompt's first tokens a slot holds; slices are compared, for a prompt may have 100,000."""
        held, wanted = self._held[slot], list(ids)
        least, most = 0, min(len(held), len(wanted))
        while least < most:
            middle = (least + most + 1) // 2
            if held[least:middle] == wanted[least:middle]:
                least = middle
            else:
                most = middle - 1
        return least

    def put(self, slot: int, ids: Sequence[int]) -> None:
        """A slot holds these tokens and no others."""
        self._held[slot] = list(ids)

    def hear(self, slot: int, ids: Sequence[int], said: Mapping[str, Any]) -> None:
        """One record of a streamed answer to a prompt in a slot. Tokens of half characters are in none, so some may be missing."""
        if "prompt_progress" in said:
            self.put(slot, ids[: said["prompt_progress"]["processed"]])
            return
        if len(self._held[slot]) < len(ids):
            self.put(slot, ids)
        self._held[slot] += said.get("tokens", ())

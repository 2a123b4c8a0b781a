"""What a load takes of the machine, before it is tried: windows, slots, memory, threads. Knows sizes; loads nothing.

llama.cpp divides one context by the slots (``-np N``), so that a window may be a fraction of what was asked for, without a word. Here the
window is what one request has, whatever the slots are; what they take together is told, and refused where it does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from puna.engines.machine import Cores
from puna.errors import InputError, ModelFileError
from puna.models.gguf import Gguf

SHARE_OF_F16: Mapping[str, Fraction] = {"f16": Fraction(1), "q8_0": Fraction(34, 64), "q4_0": Fraction(18, 64)}
"""Bytes of a block of 32 numbers, over those of 32 f16 numbers (ggml's block_q8_0 and block_q4_0)."""

BLOCK = 32
"""Numbers that are quantised together."""

CELLS = 256
"""llama.cpp rounds the window of each slot up to a multiple of so many tokens (measured, b11549)."""

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Plan:
    """One load. context: tokens of one request's window, of which there are ``slots``. weights: bytes of the file. prompt_cache: MiB.

    threads: that decode one stream; batch_threads: for prefill, and for several streams. per_token: bytes of one token's keys and values
    as f16.
    """

    name: str
    context: int
    slots: int
    weights: int
    per_token: int
    cores: Cores
    threads: int
    batch_threads: int
    cache_type: str = "f16"
    prompt_cache: int = 0

    @property
    def kv_cache(self) -> int:
        """Bytes of the KV cache of all slots."""
        cells = self.slots * -(-self.context // CELLS) * CELLS
        return int(cells * self.per_token * SHARE_OF_F16[self.cache_type])

    @property
    def needed(self) -> int:
        """Bytes in all. What llama.cpp computes in is not counted: 2 to 11 MiB with the default model (measured)."""
        return self.weights + self.kv_cache + self.prompt_cache * _MIB

    @property
    def told(self) -> str:
        """One line for who starts it."""
        kept = (
            f", {_size(self.prompt_cache * _MIB)} at most for prompts that have left their slot"
            if self.prompt_cache
            else ""
        )
        one = "" if self.slots == 1 else "each "
        return (
            f"{_count(self.slots, 'request')} at a time, {one}with a window of {self.context} tokens; {_size(self.weights)} of weights, "
            f"{_size(self.kv_cache)} of KV cache ({self.cache_type}){kept}; {_count(self.threads, 'thread')} for one stream, "
            f"{self.batch_threads} for prefill and several ({self.cores.told})"
        )

    def check_fits(self, free: int) -> None:
        """Refuse a load that cannot fit: llama.cpp would be killed, or would take the machine down swapping. free: bytes.

        Raises:
            ModelFileError: with what would fit.
        """
        if self.needed <= free:
            return
        kept = f", {_size(self.prompt_cache * _MIB)} for the prompt cache" if self.prompt_cache else ""
        ways = ", or ".join(self._ways(free)) or "choose a smaller model"
        raise ModelFileError(
            f"{self.name} needs {_size(self.needed)} ({_size(self.weights)} for the weights, {_size(self.kv_cache)} for "
            f"{self.slots} times a window of {self.context} tokens{kept}), but {_size(free)} are free; what would fit: {ways}"
        )

    def _ways(self, free: int) -> Iterator[str]:
        """Options, each of which alone makes it fit; where none does, the largest window of a single slot without any luxury."""
        fits = ["--prompt-cache 0"] if replace(self, prompt_cache=0).needed <= free else []
        if slots := _most(self.slots - 1, 1, lambda n: replace(self, slots=n).needed <= free):
            fits.append(f"--slots {slots}")
        fits += [f"--cache-type {kind}" for kind in SHARE_OF_F16 if replace(self, cache_type=kind).needed <= free][:1]
        if context := _most(self.context // CELLS, 1, lambda n: replace(self, context=n * CELLS).needed <= free):
            fits.append(f"--context {context * CELLS}")
        yield from fits
        if not fits:
            least = replace(self, prompt_cache=0, slots=1)
            if context := _most(self.context // CELLS, 1, lambda n: replace(least, context=n * CELLS).needed <= free):
                yield f"--slots 1 --prompt-cache 0 --context {context * CELLS}"


def check_cache(facts: Gguf, cache_type: str, flash_attention: str) -> None:
    """What llama.cpp demands of a quantised KV cache, in words; it says "failed to init server".

    Raises:
        InputError: values are quantised without flash attention, or in blocks that do not divide the model's heads.
    """
    if cache_type == "f16":
        return
    if flash_attention == "off":
        raise InputError(
            f"--cache-type {cache_type} needs flash attention, which --flash-attention off forbids; choose auto, or the cache type f16"
        )
    for what, length in (("keys", facts.key_length), ("values", facts.value_length)):
        if length % BLOCK:
            raise InputError(
                f"--cache-type {cache_type} quantises {BLOCK} numbers together, but the {what} of this model's heads have {length}; "
                "choose the cache type f16"
            )


def _most(most: int, least: int, fits: Callable[[int], bool]) -> int:
    """The largest number from ``most`` down to ``least`` that fits, 0 for none. What fits also fits with less."""
    if most < least or not fits(least):
        return 0
    low, high = least, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / _MIB:.0f} MiB"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

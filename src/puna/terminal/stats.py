"""A receipt as one line for people."""

from __future__ import annotations

from puna.generation import Receipt, Written


def stats_line(receipt: Receipt) -> str:
    """What a turn cost and what was done to its prompt."""
    parts = []
    if receipt.usage is not None:
        usage, decode = receipt.usage, receipt.timing.decode
        cached = f", {usage.cached} cached" if usage.cached else ""
        parts.append(f"{usage.prompt} tokens in{cached}, {usage.output} out")
        # The first token is prefill's; decode is the time between it and the last.
        if usage.output > 1 and decode > 0:
            parts.append(f"{(usage.output - 1) / decode:.0f} tokens/s")
        parts.append(f"first token after {(receipt.timing.queue + receipt.timing.prefill) * 1000:.0f} ms")
    parts.extend((f"ended by {receipt.finish}", prompt_words(receipt), f"seed {receipt.sampling.seed}"))
    return " | ".join(parts)


def prompt_words(receipt: Receipt) -> str:
    """What was done to the caller's prompt, in a few words."""
    match receipt.written:
        case Written.TRANSLATED:
            return f"prompt translated from {receipt.source} to {receipt.format}"
        case Written.REPAIRED:
            return f"prompt repaired ({receipt.format})"
        case Written.RENDERED:
            return f"messages rendered as {receipt.format}"
    return "prompt sent as it is"

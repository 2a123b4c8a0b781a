"""What ``puna prompt`` prints: results to standard output, notes to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from puna.dialog.budget import Budget
from puna.dialog.prune import Fit
from puna.formats.base import Finding, Format, Parsed
from puna.generation import Kind, Segment
from puna.tokens.base import Tokenizer, encode
from puna.tokens.decoding import Decoder


def exact(text: str) -> None:
    """The text as UTF-8 and nothing else: no newline added, none translated."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()


def notes(sentences: Iterable[str]) -> None:
    """What the reader should know of the result."""
    sys.stdout.flush()
    for sentence in sentences:
        print(f"note: {sentence}", file=sys.stderr)


def formats(known: Iterable[Format], *, as_json: bool) -> None:
    """The catalogue."""
    if as_json:
        said = [{"name": form.name, "stops": list(form.stops), "system": form.system_allowed,
                 "alternates": form.alternates, "announces": form.announces} for form in known]  # fmt: skip
        print(json.dumps(said, ensure_ascii=False))
        return
    print(f"{'name':<20}{'system message':<17}{'turns alternate':<18}ends a turn with")
    for form in known:
        turns = "yes" if form.alternates else "no"
        print(f"{form.name:<20}{form.system_allowed:<17}{turns:<18}{', '.join(form.stops)}")


def as_json(parsed: Parsed) -> dict[str, object]:
    """What was read from a written prompt."""
    return {
        "format": parsed.format,
        "confidence": round(parsed.confidence, 4),
        "also": list(parsed.also),
        "open": parsed.open,
        "messages": parsed.dialog.as_json(),
        "findings": [finding.as_json() for finding in parsed.findings],
    }


def family(parsed: Parsed) -> None:
    """Which family the text is of."""
    also = f"; fits {', '.join(parsed.also)} as well" if parsed.also else ""
    print(f"format {parsed.format}, confidence {parsed.confidence:.2f}{also}")


def findings(text: str, found: Sequence[Finding], *, to_stderr: bool = False) -> None:
    """A line per finding, with the place as line:column, both from 1."""
    file = sys.stderr if to_stderr else sys.stdout
    for finding in found:
        line = text.count("\n", 0, finding.start) + 1
        column = finding.start - text.rfind("\n", 0, finding.start)
        print(f"{line}:{column}".ljust(8), f"{finding.severity:<8}", f"{finding.code:<22}", finding.message, file=file)
        if finding.fix is not None:
            before = repr(text[finding.start : finding.end])
            print(" " * 8, f"{'fix':<8}", f"{before if len(before) < 60 else '...'} -> {finding.fix!r}", file=file)
    if not found:
        print("no findings", file=file)


def tokens(tokenizer: Tokenizer, segments: Sequence[Segment], *, as_json: bool) -> None:
    """Ids and pieces of a prompt."""
    ids = encode(tokenizer, segments)
    pieces = tokenizer.pieces(ids)
    if as_json:
        print(json.dumps({"ids": list(ids), "pieces": pieces, "count": len(ids)}, ensure_ascii=False))
        return
    control = set(tokenizer.control.values())
    contents = sum(segment.kind is Kind.CONTENT for segment in segments)
    decoder = Decoder(tokenizer)
    print(f"{'id':>8}  {'piece':<24}text that it adds, once its characters are whole")
    for token, piece in zip(ids, pieces, strict=True):
        text = decoder.push(token)
        print(f"{token:>8}  {piece!r:<24}{'control' if token in control else repr(text)}")
    print(f"{len(ids)} tokens, {sum(token in control for token in ids)} of them control; {contents} contents")


_PARTS = {"overhead": "O", "system": "S", "pinned": "P", "history": "h", "turn": "T", "free": ".", "reserve": "="}


def fit(found: Fit, budget: Budget, *, as_json: bool) -> None:
    """Where the window's tokens go, which messages stay, and why the others do not."""
    if as_json:
        print(json.dumps(found.as_json(), ensure_ascii=False))
        return
    parts = budget.as_json()
    print(budget.bar())
    print("  ".join(f"{sign} {name} {parts[name]}" for name, sign in _PARTS.items() if parts[name]))
    said = f"{found.prompt_tokens} prompt + {found.reserve} reserved + {budget.free} free"
    print(f"{said} = {found.context} tokens of context")
    print(f"kept {len(found.kept)} messages: {_ranges(found.kept)}")
    for entry in found.dropped:
        print(f"dropped {entry.index:<4} {entry.role:<10} {entry.tokens:>6} tokens  {entry.why}")


def _ranges(numbers: Sequence[int]) -> str:
    """``0, 5-9`` for 0, 5, 6, 7, 8, 9."""
    ranges: list[list[int]] = []
    for n in numbers:
        if ranges and ranges[-1][1] == n - 1:
            ranges[-1][1] = n
        else:
            ranges.append([n, n])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)

"""Reads a prompt of a family past tags that are only nearly tags, and notes tags where contents should be.

Knows no family. What a text says exactly goes first: something that is nearly a tag is taken for one only where the
text has fewer errors with it, so a message may speak about tags in any spelling.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from puna.errors import DialogError
from puna.formats.base import Finding, Format, Parsed
from puna.formats.near_tags import ZERO_WIDTH, NearTag, near_tags
from puna.formats.slips import ERROR, NOTE, WARNING, Slip, Slips, Table
from puna.messages import Role

SLIPS: Table = {
    "tag-spelling": Slip(
        ERROR, "this is nearly a tag, but ordinary text to the model; write the tag", "<s>[inst] q [/inst]", "llama2"
    ),
    "lookalike-tag": Slip(
        ERROR,
        "this looks like a tag, but has other characters in it; write the tag",
        "<s>[INST] q \uff3b/INST\uff3d",
        "llama2",
    ),
    "code-fence": Slip(
        ERROR,
        "the prompt stands in a code fence, which the model would read too; remove it",
        "```\n<s>[INST] q [/INST]\n```",
        "llama2",
    ),
    "invisible-start": Slip(
        WARNING,
        "the prompt starts with a character that is not seen, such as a byte order mark; remove it",
        "\ufeff<s>[INST] q [/INST]",
        "llama2",
    ),
    "windows-line-ends": Slip(
        WARNING,
        "the lines end as on Windows; the family's line breaks are single characters",
        "<s>[INST] <<SYS>>\r\nx\r\n<</SYS>>\r\n\r\nq [/INST]",
        "llama2",
    ),
    "blank-edges": Slip(
        NOTE,
        "whitespace stands at an edge of this message; the family keeps it",
        "<|im_start|>user\nq\n<|im_end|>\n<|im_start|>assistant\n",
        "chatml",
    ),
    "tag-in-content": Slip(
        WARNING,
        "a tag of the family stands inside a message; a server that takes text obeys it",
        "<|im_start|>user\nWhat is <|im_start|>?<|im_end|>\n<|im_start|>assistant\n",
        "chatml",
    ),
    "foreign-tag": Slip(
        WARNING,
        "another family's tag stands in a message; it is ordinary text to this one",
        "<s>[INST] q<|eot_id|> [/INST]",
        "llama2",
    ),
    "lookalike-in-content": Slip(
        NOTE,
        "this looks like a tag, but is none: it stands inside a message, as ordinary text",
        "<s>[INST] What is \uff3bINST\uff3d? [/INST]",
        "llama2",
    ),
    "ends-with-answer": Slip(
        NOTE,
        "the prompt ends with a whole answer, so nothing is asked; add the next question",
        "<s>[INST] q [/INST] a </s>",
        "llama2",
    ),
}
"""What can be noted of a prompt in any family."""

_FENCE = re.compile(r"\s*```[\w-]*\r?\n(?P<inside>.*?)\r?\n?```\s*", re.DOTALL)

_INVISIBLE = re.compile(rf"[{ZERO_WIDTH}]+(?P<inside>.*)", re.DOTALL)

_TAGS = re.compile(
    r"<\|[a-z_]{2,24}\|>|<\uff5c[^<>\uff5c\s]{2,24}\uff5c>|</?s>|<bos>|<(?:start|end)_of_turn>"
    r"|\[/?(?:INST|SYSTEM_PROMPT)\]|<</?SYS>>"
)
"""Tags of any family that no ordinary text holds by chance."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A text with exact tags in place of what is nearly one. starts, shifts: where places in it lie in the original."""

    text: str
    near: tuple[NearTag, ...]
    starts: tuple[int, ...]
    shifts: tuple[int, ...]

    def original(self, place: int) -> int:
        """The place in the original text."""
        n = bisect_right(self.starts, place) - 1
        return place - self.shifts[n] if n >= 0 else place


def has_near_tags(parsed: Parsed) -> bool:
    """Whether something that is only nearly a tag was taken for one."""
    return any(finding.code in {"tag-spelling", "lookalike-tag"} for finding in parsed.findings)


def mend(text: str, forms: Iterable[Format]) -> Mended:
    """The text with every near tag made exact."""
    tags = frozenset(tag for form in forms for tag in form.tags if not tag[0].isalpha())
    spelled = frozenset(tag for form in forms for tag in form.misspelt)
    near = tuple(found for found in near_tags(text, tags) if text[found.start : found.end] not in spelled)
    pieces, starts, shifts, at, length = [], [], [], 0, 0
    for found in near:
        pieces += [text[at : found.start], found.tag]
        length += found.start - at + len(found.tag)
        at = found.end
        starts.append(length)
        shifts.append(length - at)
    return Mended("".join([*pieces, text[at:]]), near, tuple(starts), tuple(shifts))


def read(form: Format, text: str) -> Parsed:
    """The dialog in a prompt of this family, near tags and code fences read past, and tags in contents noted.

    Raises:
        DialogError: there is no message of the family in the text.
    """
    for wrapping, code in ((_FENCE, "code-fence"), (_INVISIBLE, "invisible-start")):
        found = wrapping.fullmatch(text)
        if found is not None and any(tag in text for tag in form.tags):
            return _inside(form, text, *found.span("inside"), code)
    return _bare(form, text)


def _bare(form: Format, text: str) -> Parsed:
    """The dialog in a prompt with nothing around it."""
    exact, refusal = _parsed(form, text)
    mended = mend(text, (form,)) if exact is None or _errors(exact) or _starts_nearly(form, text) else None
    if mended is not None and mended.near:
        again = _parsed(form, mended.text)[0]
        fewer = exact is None or (again is not None and _errors(again) < _errors(exact))
        if again is not None and (fewer or (exact is not None and _errors(again) == 0 == _errors(exact))):
            return _with_contents(form, text, _moved(again, mended, text))
    if exact is None:
        raise refusal or DialogError("the text cannot be read")
    return _with_contents(form, text, _with_line_ends(form, text, exact))


def _starts_nearly(form: Format, text: str) -> bool:
    """Whether the text begins with what is nearly a tag: a family that marks no system text would take it for one."""
    start = text[:64].lstrip()
    near = near_tags(start, _bracketed(form.tags))
    return bool(near) and near[0].start == 0


def _with_line_ends(form: Format, text: str, exact: Parsed) -> Parsed:
    r"""With ``\r\n`` read as one line break, where the prompt has no other kind and then fewer slips."""
    slips = sum(finding.severity != NOTE for finding in exact.findings)
    breaks = [found.start() for found in re.finditer("\r\n", text)]
    if not slips or not breaks or text.count("\n") != len(breaks):
        return exact
    again = _parsed(form, text.replace("\r\n", "\n"))[0]
    if again is None or sum(finding.severity != NOTE for finding in again.findings) >= slips:
        return exact
    starts = tuple(place - n + 1 for n, place in enumerate(breaks))
    there = Mended("", (), starts, tuple(-n - 1 for n in range(len(breaks))))
    noted = Slips(SLIPS)
    noted.note("windows-line-ends", breaks[0], breaks[0] + 2)
    moved = (
        replace(finding, start=there.original(finding.start), end=min(there.original(finding.end), len(text)))
        for finding in again.findings
    )
    return replace(again, findings=_ordered([*moved, *noted.in_text_order()]))


def _parsed(form: Format, text: str) -> tuple[Parsed | None, DialogError | None]:
    try:
        return form.parse(text), None
    except DialogError as error:
        return None, error


def _errors(parsed: Parsed) -> int:
    return sum(finding.severity == ERROR for finding in parsed.findings)


def _moved(parsed: Parsed, mended: Mended, text: str) -> Parsed:
    """What was read from the mended text, with its places in the original, and the near tags as findings."""
    slips = Slips(SLIPS)
    for near in mended.near:
        slips.note(near.code, near.start, near.end, near.tag)
    there = (
        replace(finding, start=mended.original(finding.start), end=min(mended.original(finding.end), len(text)))
        for finding in parsed.findings
    )
    return replace(parsed, findings=_ordered([*there, *slips.in_text_order()]))


def _inside(form: Format, text: str, start: int, end: int, code: str) -> Parsed:
    """What stands in a code fence, or after invisible characters."""
    parsed = _bare(form, text[start:end])
    slips = Slips(SLIPS)
    for edge in ((0, start), (end, len(text))):
        if edge[0] < edge[1]:
            slips.note(code, *edge, "")
    there = (replace(finding, start=finding.start + start, end=finding.end + start) for finding in parsed.findings)
    return replace(parsed, findings=_ordered([*there, *slips.in_text_order()]))


def _with_contents(form: Format, text: str, parsed: Parsed) -> Parsed:
    """With what is to be said of the contents, and of the end."""
    slips = Slips(SLIPS)
    noted = {(finding.start, finding.end) for finding in parsed.findings if finding.code == "tag-in-content"}
    at = 0
    for message in parsed.dialog:
        # Contents stand in the text in order, but for those that were joined or mended.
        place = text.find(message.content, at)
        begin = max(place, at)
        for start, end, code in _in_content(form, message.content):
            span = (min(begin + start, len(text)), min(begin + end, len(text)))
            if span not in noted:
                slips.note(code, *span)
        at = place + len(message.content) if place >= 0 else at
        if message.content != message.content.strip() and message.role is not Role.SYSTEM and not parsed.open:
            slips.note("blank-edges", min(begin, len(text)), min(begin + len(message.content), len(text)))
    if parsed.dialog and parsed.dialog[-1].role is Role.ASSISTANT and not parsed.open and not parsed.announced:
        slips.note("ends-with-answer", len(text), len(text))
    found = slips.in_text_order()
    return replace(parsed, findings=_ordered([*parsed.findings, *found])) if found else parsed


def _in_content(form: Format, content: str) -> list[tuple[int, int, str]]:
    """The tags, and what looks like one, in a message: start, end, code."""
    if not any(sign in content for sign in "<[\uff1c\uff3b\u27e6\u3010&"):
        return []
    return sorted({*_tags_in(form, content), *_near_in(form, content)})


def _tags_in(form: Format, content: str) -> Iterator[tuple[int, int, str]]:
    for found in _TAGS.finditer(content):
        yield *found.span(), "tag-in-content" if found.group() in form.tags else "foreign-tag"


def _near_in(form: Format, content: str) -> Iterator[tuple[int, int, str]]:
    if content.isascii():
        return
    for near in near_tags(content, _bracketed(form.tags)):
        if near.code == "lookalike-tag":
            yield near.start, near.end, "lookalike-in-content"


@cache
def _bracketed(tags: tuple[str, ...]) -> frozenset[str]:
    return frozenset(tag for tag in tags if not tag[0].isalpha())


def _ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: (finding.start, finding.end)))

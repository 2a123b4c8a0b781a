"""HTML as text in blocks under its headings: what a reader sees, element by element. Knows no size, no style sheet and no script.

Of a page with a ``main`` element, only that is read; menus, scripts and what is marked or styled as hidden are not text of the page. Runs of white
space are one space, except in ``pre``; a table is a line for each row, its cells parted by `` | ``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from puna.context.blocks import Block
from puna.errors import InputError

if TYPE_CHECKING:
    from bs4.element import PageElement, Tag

_SILENT = ("script", "style", "template", "noscript", "svg", "title", "nav", "iframe", "object")
"""Not ``head``: pages may leave it open, and then all is in it."""
_UNSEEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
"""A style of its own by which an element is not seen; instructions to models are hidden so, too."""
_INLINE = re.compile(
    r"a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|ins|kbd|label|mark|math|output|q|rp|rt|ruby|s|samp|small|span|strike|"
    r"strong|sub|sup|time|tt|u|var|wbr"
)
"""What does not part text; all else does."""
_HEADING = re.compile(r"h[1-6]")
_LAYING_OUT = ["table", "p", "pre", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6"]
"""What makes a table one that lays out a page, rather than one of data."""
_ANCHOR = " \u00b6#\uf0c1"
"""The signs by which tools of documentation link a heading to itself."""


def read(source: str) -> tuple[str, tuple[Block, ...]]:
    """The text of a page, and its blocks, each with the line of the tag before it in the source.

    Raises:
        InputError: beautifulsoup4 is not installed.
    """
    try:
        from bs4 import Tag  # noqa: PLC0415
        from bs4.element import PreformattedString  # noqa: PLC0415

        from puna.context.nesting import Page  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            f"HTML needs beautifulsoup4 ({error}); install it with: pip install 'puna[documents]'"
        ) from error
    page = Page(source)
    title = page.title.get_text(" ", strip=True) if page.title is not None and page.find("h1") is None else ""
    for tag in page.find_all(_silent):
        tag.extract()
    laid_out = _around(page.find_all(_LAYING_OUT))
    writing = _Writing([(0, title)] if title else [])
    # Without recursion, since pages nest as deep as they like. None stands where an element ends that parts text.
    waiting: list[PageElement | None] = [page.find("main") or page.find(role="main") or page]
    levels: list[int] = [0]
    while waiting:
        node = waiting.pop()
        if node is None:
            writing.flush(levels.pop())
        elif not isinstance(node, Tag):
            # Comments, declarations and the like are preformatted; what stands in CDATA is as well, and browsers do not show it.
            writing.write("" if isinstance(node, PreformattedString) else re.sub(r"\s+", " ", str(node)))
        elif node.name == "br":
            writing.write("\n")
        else:
            writing.line = node.sourceline
            if _INLINE.fullmatch(node.name):
                waiting += reversed(node.contents)
                continue
            writing.flush(levels[-1])
            writing.mark = "- " if node.name == "li" else writing.mark
            if node.name == "pre":
                writing.add(node.get_text().strip("\r\n"), lines=True)
            elif node.name == "table" and id(node) not in laid_out:
                writing.add(_table(node), lines=True)
            else:
                levels.append(int(node.name[1]) if _HEADING.fullmatch(node.name) else 0)
                waiting += [None, *reversed(node.contents)]
    return writing.done()


def _silent(tag: Tag) -> bool:
    style = str(tag.get("style") or "")
    hidden = tag.has_attr("hidden") or tag.get("aria-hidden") == "true" or _UNSEEN.search(style) is not None
    return hidden or tag.name in _SILENT


def _around(tags: Iterable[Tag]) -> set[int]:
    """The identities of the elements around these; each is gone through once, since pages nest as deep as they like."""
    found: set[int] = set()
    for tag in tags:
        for outer in tag.parents:
            if id(outer) in found:
                break
            found.add(id(outer))
    return found


def _table(table: Tag) -> str:
    """A line for each row. Row and cell are those whose tags were opened last, since pages leave them open."""
    rows: list[list[str]] = [[]]
    for node in table.descendants:
        name = getattr(node, "name", None)
        if name in {"tr", "caption"}:
            rows.append([])
        elif name in {"td", "th"}:
            rows[-1].append("")
        elif name == "br":
            rows[-1][-1:] = ["".join(rows[-1][-1:]) + " "]
        elif name is None:
            rows[-1][-1:] = ["".join(rows[-1][-1:]) + node.text]
    lines = (" | ".join(" ".join(cell.split()) for cell in row) for row in rows)
    return "\n".join(line for line in lines if line.strip())


class _Writing:
    """The text of a page so far. heading: level and words. line: of the newest tag. mark: what the next block begins with."""

    def __init__(self, heading: list[tuple[int, str]]) -> None:
        self.heading = heading
        self.line: int | None = None
        self.mark = ""
        self._text: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._words: list[str] = []
        self._from: int | None = None
        self._lone: tuple[str, tuple[str, ...], int | None] | None = None
        """A heading that nothing stands under yet."""

    def write(self, words: str) -> None:
        if words.strip() and self._from is None:
            self._from = self.line
        self._words.append(words)

    def flush(self, level: int) -> None:
        """What was written is a heading of this level, or, at 0, a paragraph."""
        written = (" ".join(words.split()) for words in "".join(self._words).split("\n"))
        text = "\n".join(words for words in written if words)
        line, self._words, self._from = self._from, [], None
        if not text:
            return
        if not level:
            self.add(text, line=line)
            return
        if self._lone is not None and level <= self.heading[-1][0]:
            self._add_lone()
        above = [(high, name) for high, name in self.heading if high < level]
        name = " ".join(text.split()).strip(_ANCHOR)
        self._lone = (text, _names(above), line)
        self.heading = [*above, (level, name)]

    def add(self, text: str, *, lines: bool = False, line: int | None = None) -> None:
        if text.strip():
            self._lone = None
            self._add(text, _names(self.heading), self.line if line is None else line, lines=lines)

    def done(self) -> tuple[str, tuple[Block, ...]]:
        self.flush(0)
        if self._lone is not None:
            self._add_lone()
        return "".join(self._text), tuple(self._blocks)

    def _add_lone(self) -> None:
        if self._lone is not None:
            self._add(*self._lone, lines=False)

    def _add(self, text: str, heading: tuple[str, ...], line: int | None, *, lines: bool) -> None:
        between = "" if not self._text else "\n" if self.mark else "\n\n"
        self._text.append(between + self.mark + text)
        start = self._length + len(between)
        self._length += len(self._text[-1])
        self._blocks.append(Block(start, self._length, heading, lines, line=line))
        self.mark = ""


def _names(heading: list[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(name for _, name in heading if name)

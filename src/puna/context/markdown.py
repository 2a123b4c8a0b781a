"""Markdown as blocks under its headings: CommonMark with tables. Knows no size; positions are those of the source's own text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from puna.context.blocks import Block, line_starts, paragraphs, trimmed
from puna.errors import InputError

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

_AS_LINES = frozenset({"fence", "code_block", "html_block", "table"})
_WITH_PARTS = frozenset({"bullet_list", "ordered_list", "list_item", "blockquote"})
_FRONT = re.compile(
    r"\ufeff?---[^\S\r\n]*(?:\r\n|\n|\r)(?:.*?(?:\r\n|\n|\r))??(?:---|\.\.\.)[^\S\r\n]*(?=\r|\n|\Z)", re.DOTALL
)
"""What Jekyll and others put before a page: YAML between two lines of dashes."""
_LONGEST_TITLE = 500
"""Characters from which on a heading keeps its markup: no title is so long, and the parser's time can grow with the square."""
_VISIBLE = re.compile(r"[^\r\n]")


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a Markdown document. A heading that nothing stands under is a block itself, so that no text is lost.

    Raises:
        InputError: markdown-it-py is not installed.
    """
    parser, tree = _parser()
    front = _FRONT.match(text)
    begun = 0 if front is None else front.end()
    yield from trimmed(text, Block(0, begun, lines=True))
    # What is not to be parsed becomes spaces, so that lines and characters stay where they are.
    read = _VISIBLE.sub(" ", text[:begun]) + text[begun:]
    read = " " + read[1:] if read.startswith("\ufeff") else read
    nodes = tree(parser.parse(read)).children
    source = _Source(text, (*line_starts(text), len(text)))
    starts = [*(source.start(node) for node in nodes), len(text)]
    yield from paragraphs(text, begun, starts[0])
    heading: list[tuple[int, str]] = []
    lone: Block | None = None
    for node, start, end in zip(nodes, starts, starts[1:], strict=False):
        body = start
        if node.type == "heading":
            level, body = int(node.tag[1:]), source.end(node)
            if lone is not None and level <= heading[-1][0]:
                yield lone
            heading = [*((deep, name) for deep, name in heading if deep < level), (level, _title(node))]
            lone = next(trimmed(text, Block(start, body, _names(heading[:-1]))), None)
        for block in source.body(node, body, end, _names(heading)):
            lone = None
            yield block
    if lone is not None:
        yield lone


@dataclass(frozen=True, slots=True)
class _Source:
    """A text and where its lines begin, shape (lines + 1,), the text's end being the last."""

    text: str
    starts: tuple[int, ...]

    def start(self, node: SyntaxTreeNode) -> int:
        return self.starts[node.map[0] if node.map else 0]

    def end(self, node: SyntaxTreeNode) -> int:
        return self.starts[min(node.map[1] if node.map else 0, len(self.starts) - 1)]

    def body(self, node: SyntaxTreeNode, start: int, end: int, heading: tuple[str, ...]) -> Iterator[Block]:
        """A node with all that stands behind it up to the next one, such as the targets of links, which make no node."""
        if node.type == "heading":
            return paragraphs(self.text, start, end, heading)
        parts: tuple[Block, ...] = ()
        if node.type in _WITH_PARTS:
            inner = [child for child in node.children if child.map]
            bounds = [start, *(self.start(child) for child in inner[1:]), end]
            pairs = zip(inner, bounds, bounds[1:], strict=False)
            parts = tuple(part for child, low, high in pairs for part in self.body(child, low, high, heading))
        return trimmed(self.text, Block(start, end, heading, node.type in _AS_LINES, parts))


def _parser() -> tuple[MarkdownIt, type[SyntaxTreeNode]]:
    """What finds blocks, and leaves alone what is in them."""
    try:
        from markdown_it import MarkdownIt  # noqa: PLC0415
        from markdown_it.tree import SyntaxTreeNode  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            f"Markdown needs markdown-it-py ({error}); install it with: pip install 'puna[documents]'"
        ) from error
    return _blocks_of(MarkdownIt), SyntaxTreeNode


@cache
def _blocks_of(parser: type[MarkdownIt]) -> MarkdownIt:
    """Made once: that takes longer than a short document. A parser keeps nothing of what it has read."""
    made = parser("commonmark").enable("table")
    made.core.ruler.enableOnly(["normalize", "block"])
    return made


@cache
def _words_of(parser: type[MarkdownIt]) -> MarkdownIt:
    return parser("commonmark")


def _title(node: SyntaxTreeNode) -> str:
    """The words of a heading without its markup."""
    from markdown_it import MarkdownIt  # noqa: PLC0415

    text = "".join(child.content for child in node.children)
    if len(text) > _LONGEST_TITLE:
        return " ".join(text.split())
    tokens = [token for line in _words_of(MarkdownIt).parseInline(text) for token in line.children or ()]
    return " ".join("".join(token.content or " " * token.type.endswith("break") for token in tokens).split())


def _names(heading: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(name for _, name in heading if name)

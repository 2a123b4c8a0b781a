"""Parts of an answer as lines of a terminal. Knows rich; writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Heading, Markdown
from rich.segment import Segment
from rich.style import Style
from rich.syntax import ANSISyntaxTheme, Syntax, SyntaxTheme
from rich.text import Text
from rich.theme import Theme

from puna.terminal.blocks import Kind, Part, parser
from puna.terminal.harmless import harmless

THEME = Theme({
    "markdown.code": "cyan", "markdown.code_block": "cyan", "markdown.h1": "bold underline", "markdown.h2": "bold",
    "markdown.h3": "bold", "markdown.h4": "bold italic", "markdown.h5": "italic", "markdown.h6": "italic", "markdown.link": "underline",
    "markdown.link_url": "dim", "markdown.item.bullet": "bold", "markdown.item.number": "bold", "markdown.block_quote": "italic",
    "markdown.hr": "dim", "markdown.table.border": "dim", "markdown.table.header": "bold", "markdown.em": "italic",
})  # fmt: skip
"""Colours of the terminal's own palette, and those only that can be read on a dark ground as on a light one."""


@cache
def code_theme() -> SyntaxTheme:
    """Colours of code, by the same rule."""
    from pygments.token import (  # type: ignore[import-untyped]  # noqa: PLC0415  # only where code is shown
        Comment,
        Keyword,
        Name,
        Number,
        Operator,
        String,
    )

    return ANSISyntaxTheme({
        Comment: Style(dim=True, italic=True), Keyword: Style(color="magenta"), Name.Builtin: Style(color="cyan"),
        Name.Function: Style(color="blue"), Name.Class: Style(color="blue", bold=True), Name.Tag: Style(color="blue"),
        Name.Decorator: Style(color="cyan"), Number: Style(color="cyan"), String: Style(color="green"),
        Operator.Word: Style(color="magenta"),
    })  # fmt: skip


class _Heading(Heading):
    """Left, as the text below it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:  # rich's
        yield self.text


class Answer(Markdown):
    """Markdown that hides nothing: addresses are written out. number: of the first item, where it is in a numbered list."""

    elements = {**Markdown.elements, "heading_open": _Heading}  # noqa: RUF012  # as rich has it

    def __init__(self, markup: str, number: int | None = None) -> None:
        super().__init__("", hyperlinks=False)
        self.markup = markup
        self.parsed = parser().parse(markup)
        self.code_theme = code_theme()  # type: ignore[assignment]  # Syntax takes a theme as well as its name
        if number is not None and self.parsed:
            self.parsed[0].attrs["start"] = number

    def _flatten_tokens(self, tokens: Iterable[Token]) -> Iterable[Token]:
        """Line breaks stay where the model made them: verses and addresses are no prose."""
        for token in super()._flatten_tokens(tokens):
            if token.type == "softbreak":
                token.type = "hardbreak"
            yield token


def lines_of(part: Part, console: Console, width: int) -> list[str]:
    """A part as lines without their line feeds, each at most ``width`` columns wide (1 or more), coloured as the console may."""
    options = console.options.update(width=width, height=None)
    lines = [_ansi(console, line) for line in console.render_lines(_renderable(part), options, pad=False)]
    if part.kind is Kind.TEXT:  # rich puts empty lines around tables, and after everything
        while lines and not lines[-1]:
            lines.pop()
        while lines and not lines[0]:
            lines.pop(0)
    return ["", *lines] if part.gap else lines


def _renderable(part: Part) -> Answer | Text:
    match part.kind:
        case Kind.FENCE:
            return Text(part.text, style="dim", overflow="fold")
        case Kind.CODE:
            return _code(part)
    return Answer(part.text, part.number)


def _code(part: Part) -> Text:
    """One line of code, coloured as the last of its block."""
    syntax = Syntax("", part.language or "text", theme=code_theme())
    whole = syntax.highlight(part.before + part.text)
    whole.rstrip()
    lines = whole.split("\n", allow_blank=True)
    last = (
        lines[part.before.count("\n")]
        if part.text.strip() and len(lines) > part.before.count("\n")
        else Text(part.text)
    )
    last.expand_tabs(4)
    last.overflow, last.no_wrap = "fold", False
    return last


def _ansi(console: Console, line: list[Segment]) -> str:
    """A line with the codes of its styles. What Markdown unfolds is looked at once more: nothing but these codes may be obeyed."""
    shown = [
        Segment(harmless(segment.text.replace("\n", "")), segment.style) for segment in line if not segment.control
    ]
    while shown and not shown[-1].text.rstrip():
        shown.pop()
    if shown:
        shown[-1] = Segment(shown[-1].text.rstrip(), shown[-1].style)
    return console._render_buffer(shown)  # noqa: SLF001  # what Console.print does with them

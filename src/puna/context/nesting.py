"""Pages whose elements end where browsers end them, though many have no end tag. Knows beautifulsoup4; no text and no heading.

Of the HTML standard, those rules are kept that make elements neighbours rather than one the other's inside: a paragraph ends where a block
begins, a heading, an item, a term, a row, a cell or an option where the next one does. An element also ends with the one that it stands in, as
beautifulsoup4 has it. https://html.spec.whatwg.org/multipage/syntax.html#optional-tags, seen 2026-11.
"""

from __future__ import annotations

import warnings
from typing import Any

from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning
from bs4.element import Tag

_DEEPEST = 100
"""Open elements that are looked through at most; so the time that a page takes stays in proportion to its length."""

_BLOCKS = frozenset(
    """address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6
    header hgroup hr li listing main menu nav ol p plaintext pre search section summary table ul xmp""".split()  # noqa: SIM905  # a list that is read as words
)
_SCOPE = frozenset({"applet", "button", "caption", "html", "marquee", "object", "svg", "table", "td", "template", "th"})
_HOLDING = (_BLOCKS | _SCOPE) - {"address", "div", "p"}
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_TABLE = frozenset({"table", "template"})
_SECTIONS = frozenset({"tbody", "tfoot", "thead"})
_CAPTION = frozenset({"caption", "colgroup"})

_ENDS: tuple[tuple[frozenset[str], frozenset[str], frozenset[str]], ...] = (
    (_BLOCKS, frozenset({"p"}), _SCOPE),
    (_HEADINGS, _HEADINGS, (_BLOCKS | _SCOPE) - _HEADINGS),
    (frozenset({"li"}), frozenset({"li"}), _HOLDING - {"li"}),
    (frozenset({"dd", "dt"}), frozenset({"dd", "dt"}), _HOLDING - {"dd", "dt"}),
    (frozenset({"td", "th"}), _CAPTION | {"td", "th"}, _TABLE | {"tr"}),
    (frozenset({"tr"}), _CAPTION | {"tr"}, _TABLE | _SECTIONS),
    (_SECTIONS, _CAPTION | _SECTIONS | {"tr"}, _TABLE),
    (frozenset({"option"}), frozenset({"option"}), _SCOPE | {"datalist", "optgroup", "select"}),
    (frozenset({"optgroup"}), frozenset({"optgroup", "option"}), _SCOPE | {"datalist", "select"}),
    (frozenset({"rb", "rp", "rt", "rtc"}), frozenset({"rb", "rp", "rt"}), _SCOPE | {"ruby"}),
    (frozenset({"body"}), frozenset({"head"}), frozenset({"body"})),
)
"""Where one of the first begins, those open ones of the second end which are not held open by one of the third around what is open."""


class Page(BeautifulSoup):
    """A document, parsed. What beautifulsoup4 would warn of, such as XML or a name instead of markup, is a document as good as others."""

    def __init__(self, source: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
            warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
            super().__init__(source, "html.parser")

    def handle_starttag(self, name: str, *args: Any, **kwargs: Any) -> Tag | None:
        """An element begins; those that it ends do so first."""
        self.endData()
        for beginning, ended, holding in _ENDS:
            if name in beginning:
                self._end(ended, holding)
        return super().handle_starttag(name, *args, **kwargs)

    def _end(self, names: frozenset[str], holding: frozenset[str]) -> None:
        """End the outermost open element of these names, with all that is in it, as far as none around what is open holds it."""
        ended = 0
        for depth, tag in enumerate(self.tagStack[: -_DEEPEST - 1 : -1], 1):
            if tag.name in holding:
                break
            if tag.name in names:
                ended = depth
        for _ in range(ended):
            self.popTag()

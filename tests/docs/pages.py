"""What the tests of the documentation read: its pages, their tables, blocks, links and anchors. Knows Markdown as GitHub has it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = tuple(
    sorted(
        (
            *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
            *DOCS.glob("*.md"),
            *DOCS.glob("howto/*.md"),
            *DOCS.glob("api/*.md"),
        )
    )
)
"""Every page of prose, notebooks apart."""

Row = dict[str, str]


def named(page: Path) -> str:
    """A page's name in a test's: its path in the repository."""
    return str(page.relative_to(ROOT))


@cache
def text_of(name: str | Path) -> str:
    """The text of a page, by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^(```+|~~~+).*?^\1[ ]*$", "", page, flags=re.MULTILINE | re.DOTALL)


def tables(page: str) -> list[list[Row]]:
    """Every table of a page, each row by the names in the table's head."""
    found: list[list[Row]] = []
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines())
        assert all(len(row) == len(head) for row in rows), f"a row of the table {head} has too few or too many cells"
        found.append([dict(zip(head, (cell.replace("\\|", "|") for cell in row), strict=True)) for row in rows])
    return found


def table(page: str, *columns: str) -> list[Row]:
    """The rows of all tables that have these columns."""
    rows = [row for rows in tables(page) for row in rows if set(columns) <= set(row)]
    assert rows, f"no table has the columns {columns}"
    return rows


def code(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]*)`", cell)


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def anchors(page: str) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: str) -> list[str]:
    """The targets of links and pictures, code apart."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "`", prose(page)))

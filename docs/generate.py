"""Writes the pages that are made from tables: ``python docs/generate.py`` (``make docs``); a test holds them to the code."""

from __future__ import annotations

from pathlib import Path

from puna.formats import catalog, lenient, lint, llama2_slips, slips, turn_slips
from puna.formats.adapt import adapt
from puna.formats.catalog import FORMATS
from puna.messages import Dialog, Message, Role

HERE = Path(__file__).parent
MADE = "<!-- made by docs/generate.py -->\n"

LINT_INTRO = f"""{MADE}
# What lint finds

`puna prompt lint FILE` reads a prompt as the dialog that was meant, and names every slip in it; `--fix` writes the prompt as
its family has it. From Python: `puna.lint(text)`. Codes are stable.

| severity | meaning | exit status |
|---|---|---|
| error | the model would read something else than was meant | 1 |
| warning | it would read what was meant, in tokens that it was not trained on | 0 |
| note | worth knowing; the tokens may be right | 0 |

*After* is what `--fix` writes. In the examples `\\n` is a line break, and `·` a space at the edge of an example or of a line.
A text with more than {slips.MOST} findings has the first {slips.MOST} listed, and the note `more-slips`.

What is nearly a tag (other case, blanks or zero-width characters inside, look-alike letters, a missing bar, HTML escapes) is
taken for one only where the text has fewer errors with it; so a message may speak about tags in any spelling.
"""

FAMILIES_INTRO = f"""{MADE}
# The families

One dialog, in every family's format: "Be brief." (system), "Hi", "Hello.", "Bye". Where a family has no system message, what
`puna prompt translate` makes of it is shown. `\\n` stands for a line break.

*System message*: where one may stand; *alternate*: whether user and assistant must speak in turn, the user first. Whatever a
family's own template leaves out or writes as something else is said (`note:` on standard error, the receipt's findings).
"""


def shown(text: str) -> str:
    """A text as a table's cell can hold it."""
    lines = text.split("\n")
    marked = [line if line == line.strip(" ") else _edges(line) for line in lines]
    cell = "\\n".join(marked).replace("|", "\\|").replace("\r", "\\r").replace("\ufeff", "\\ufeff")
    return f"`{cell}`"


def _edges(line: str) -> str:
    start, end = len(line) - len(line.lstrip(" ")), len(line) - len(line.rstrip(" "))
    return "·" * len(line) if not line.strip(" ") else f"{'·' * start}{line.strip(' ')}{'·' * end}"


def lint_page() -> str:
    """Every code with an example, before and after."""
    parts = [LINT_INTRO]
    for title, table in (
        ("Llama 2", llama2_slips.SLIPS),
        ("The other families", turn_slips.SLIPS),
        ("Any family", lenient.SLIPS),
    ):
        parts.append(
            f"\n## {title}\n\n| code | severity | meaning | family | before | after |\n|---|---|---|---|---|---|\n"
        )
        for code, slip in table.items():
            after = lint.fix(slip.example, slip.family)
            message = slip.message.replace("|", "\\|").replace("<", "&lt;")
            parts.append(
                f"| `{code}` | {slip.severity} | {message} | {slip.family} | {shown(slip.example)} | {shown(after)} |\n"
            )
    return "".join(parts)


def families_page() -> str:
    """Every format with what it writes."""
    parts = [
        FAMILIES_INTRO,
        "\n| name | family | system message | alternate | ends a turn with |\n|---|---|---|---|---|\n",
    ]
    for name, form in FORMATS.items():
        stops = ", ".join(shown(stop) for stop in form.stops)
        turns = "yes" if form.alternates else "no"
        parts.append(f"| `{name}` | {form.title} | {form.system_allowed} | {turns} | {stops} |\n")
    parts.append("\n| name | the dialog as it is written |\n|---|---|\n")
    parts += [f"| `{name}` | {shown(_example(name))} |\n" for name in FORMATS]
    return "".join(parts)


def _example(name: str) -> str:
    asked = Dialog((
        Message(Role.SYSTEM, "Be brief."),
        Message(Role.USER, "Hi"),
        Message(Role.ASSISTANT, "Hello."),
        Message(Role.USER, "Bye"),
    ))  # fmt: skip
    form = catalog.get(name)
    return form.text(adapt(asked, form).dialog)


PAGES = {"lint.md": lint_page, "families.md": families_page}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (HERE / page).write_text(make(), encoding="utf-8")
        print(f"docs/{page}")

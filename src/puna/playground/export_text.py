"""Values as the text of programs: JSON, Python, comments. Any text survives, and none can be taken for code.

What is not printable is escaped: control characters, line separators, marks that turn the direction of writing. So a program is UTF-8
without surprises, its lines end at line feeds only, and what a reader sees is what is run.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping

from puna.playground.exported import Exported

WIDTH = 100
"""Characters of a line, where a text can be cut."""

_STEP = "    "
_NAMED = {'"': '\\"', "\\": "\\\\"}


def json_of(value: object) -> str:
    """JSON on one line."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def json_body(body: Mapping[str, object]) -> str:
    """An object in JSON, a name or a message on each line. No line is a bare word."""
    entries = []
    for name, value in body.items():
        if isinstance(value, list) and not _short(value):
            inner = _numbers(value, "    ") or ",\n".join(f"    {json_of(entry)}" for entry in value)
            entries.append(f"  {json_of(name)}: [\n{inner}\n  ]")
        else:
            entries.append(f"  {json_of(name)}: {json_of(value)}")
    return "{\n" + ",\n".join(entries) + "\n}"


def python_of(value: object, depth: int = 0) -> str:
    """A Python literal of JSON values, over several lines where it is long. depth: how far it is indented, in steps."""
    pad = _STEP * depth
    inner = pad + _STEP
    if isinstance(value, str):
        return _text(value, pad)
    if isinstance(value, list) and _short(value):
        return f"[{', '.join(map(python_of, value))}]"
    if isinstance(value, list):
        entries = _numbers(value, inner) or "\n".join(f"{inner}{python_of(entry, depth + 1)}," for entry in value)
        return f"[\n{entries}\n{pad}]"
    if isinstance(value, dict) and set(value) == {"role", "content"}:
        return f'{{"role": {_quoted(value["role"])}, "content": {_text(value["content"], pad)}}}'
    if isinstance(value, dict) and value:
        entries = "\n".join(f"{inner}{_quoted(name)}: {python_of(entry, depth + 1)}," for name, entry in value.items())
        return f"{{\n{entries}\n{pad}}}"
    return repr(value)


def keywords(arguments: Mapping[str, object], depth: int = 1) -> str:
    """Arguments of a call, one a line."""
    return "\n".join(f"{_STEP * depth}{name}={python_of(value, depth)}," for name, value in arguments.items())


def headed(by: str, needs: str, given: Exported) -> str:
    """Comments at a program's head, of Python or of a shell. A title never stands in the two lines where it could name an encoding."""
    lines = [
        f"# Asks {shown(given.endpoint)} what puna's playground asked it, by {by} ({needs}), and prints the answer.",
        "# With the same seed the same model gives the same answer.",
    ]
    if given.title:
        lines.append(f"# Title: {shown(given.title[:200])}")
    return "\n".join(lines)


def written(given: Exported) -> str:
    """An exact prompt in comments, a marked line for each of its own; nothing for messages, which can be read where they stand."""
    if not given.ids:
        return ""
    told = "# What is sent are the prompt's tokens, so that nothing renders it once more."
    if given.prompt is None:
        return f"{told}\n"
    return "\n".join((f"{told} Its text:", *(f"#  |{shown(line)}" for line in given.prompt.split("\n")), ""))


def shown(text: str) -> str:
    """Text on one line, as a reader can see it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _short(value: list[object]) -> bool:
    """Whether a list goes on one line."""
    return all(isinstance(entry, str | int) for entry in value) and len(json_of(value)) <= WIDTH // 2


def _numbers(value: list[object], pad: str) -> str | None:
    """Token ids, as many on a line as it holds; None where these are none."""
    if not all(isinstance(entry, int) and not isinstance(entry, bool) for entry in value):
        return None
    return textwrap.fill(
        ", ".join(map(str, value)), WIDTH, initial_indent=pad, subsequent_indent=pad, break_on_hyphens=False
    )


def _text(text: str, pad: str) -> str:
    """One literal, or one for each line of the text."""
    whole = _quoted(text)
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    if len(whole) <= WIDTH - len(pad) - len(_STEP) or len(lines) < 2:
        return whole
    inner = "\n".join(f"{pad}{_STEP}{_quoted(line)}" for line in lines)
    return f"(\n{inner}\n{pad})"


def _quoted(text: str) -> str:
    return '"' + "".join(_NAMED.get(c) or (c if c.isprintable() else repr(c)[1:-1]) for c in text) + '"'

"""Runs a page of the documentation as its reader would: its files are written, its commands and Python run, in the order of the page.

- A line before a fence that ends with "`NAME`:" makes the block a file of that name.
- ``python`` blocks of a page share their names; what stands behind ``print(...)`` as a comment is what it prints.
- ``sh`` blocks run in the page's folder, with the engine that needs no model.
- "It prints:" before a ``text`` fence: the output of the block before it; a line of dots there stands for any lines.
- ``<!-- not run: REASON -->`` on the line before a fence: it is not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

LANGUAGES = ("python", "sh")
"""What can be run; a block in another language is a file, an output, or only shown."""

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w./-]+)`:$")
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->$")
_EXPECTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page, with the line that stands before it."""

    language: str
    text: str
    before: str

    @property
    def file(self) -> str | None:
        """The name of the file that it is."""
        found = _FILE.search(self.before)
        return found and found[1]

    @property
    def reason(self) -> str | None:
        """Why it is not run, where it says so."""
        found = _NOT_RUN.search(self.before)
        return found and found[1]

    @property
    def output(self) -> bool:
        """Whether it is what the block before it prints."""
        return self.before.endswith("It prints:")


def blocks(page: str) -> Iterator[Block]:
    """Every block of a page, in order."""
    for found in _FENCE.finditer(page):
        lines = [line for line in page[: found.start()].splitlines() if line.strip()]
        yield Block(found[1], found[2], lines[-1] if lines else "")


def left_out(page: str) -> list[Block]:
    """Blocks that could be run and are not."""
    return [block for block in blocks(page) if block.language in LANGUAGES and not block.file and block.reason]


class Reader:
    """Who does what a page says, in a folder of his own. variables: of his environment, over those of this process."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PUNA_ENGINE": "scripted", "PATH": path, **variables}
        self.names: dict[str, object] = {}
        self.printed = ""

    def follow(self, page: str) -> None:
        """All of a page, block by block."""
        for block in blocks(page):
            if block.file:
                file = self.folder / block.file
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text, encoding="utf-8")
            elif block.output:
                assert alike(self.printed, block.text), f"printed:\n{self.printed}\nexpected:\n{block.text}"
            elif block.language in LANGUAGES and not block.reason:
                self.printed = self._python(block.text) if block.language == "python" else self._sh(block.text)

    def _python(self, text: str) -> str:
        with redirect_stdout(StringIO()) as out:
            exec(compile(text, "page", "exec"), self.names)  # noqa: S102  # it is what a reader would do
        said = _EXPECTED.findall(text)
        assert not said or out.getvalue().splitlines() == said, out.getvalue()
        return out.getvalue()

    def _sh(self, text: str) -> str:
        done = subprocess.run(
            ["sh", "-e", "-c", text], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
            env=self.environment, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def alike(printed: str, expected: str) -> bool:
    """Whether a text is the expected one, in which a line of three dots stands for any lines."""
    lines = [
        r"(?:.*\n)*?" if line.strip() == "..." else f"{re.escape(line.rstrip())}[ \\t]*\n"
        for line in expected.splitlines()
    ]
    ended = printed if printed.endswith("\n") or not printed else f"{printed}\n"
    return re.fullmatch("".join(lines), ended) is not None

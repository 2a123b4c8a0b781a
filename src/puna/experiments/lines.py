"""On which line of a TOML text each value stands, since the standard library's reader does not tell. Knows TOML's outline only.

The text must be one that ``tomllib`` takes; it is skimmed, not checked.
"""

from __future__ import annotations

import re
import tomllib

Steps = tuple[str | int, ...]
"""Keys and indices that lead to a value, from the outermost."""

_SPACE = re.compile(r"(?:[\s]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*'""")
_SCALAR = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # as many as two quotes may stand right before the closing three
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|[^,\]}#\n]+",
    re.DOTALL,
)


def lines(text: str) -> dict[Steps, int]:
    """Lines from 1, by path: of every key, of every table's head, and of every entry of an array."""
    return _Skim(text).whole()


class _Skim:
    """One pass over a text. at: where it is. found: what it has met."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.found: dict[Steps, int] = {}
        self._heads: dict[Steps, int] = {}
        self._line, self._counted = 1, 0

    def whole(self) -> dict[Steps, int]:
        table: Steps = ()
        self._space()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._head()
            else:
                self._pair(table)
            self._space()
        return self.found

    def _head(self) -> Steps:
        """``[a.b]`` or ``[[a.b]]``: the path of the table that begins here."""
        several = self.text.startswith("[[", self.at)
        line = self.line
        self.at += 1 + several
        path = self._through((), self._keys())
        self.at += 1 + several
        if several:
            self.found.setdefault(path, line)
            index = self._heads.get(path, -1) + 1
            self._heads[path] = index
            path = (*path, index)
        self.found.setdefault(path, line)
        return path

    def _through(self, path: Steps, keys: list[str]) -> Steps:
        """The path that keys mean where some name arrays of tables, whose last entry is meant."""
        for n, key in enumerate(keys):
            path = (*path, key)
            if n + 1 < len(keys) and path in self._heads:
                path = (*path, self._heads[path])
        return path

    def _pair(self, table: Steps) -> None:
        line = self.line
        path = table
        for key in self._keys():
            path = (*path, key)
            self.found.setdefault(path, line)
        self.at += 1  # the equals sign, where _keys stops
        self._value(path)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._space()
            keys.append(self._key())
            self._space()
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def _key(self) -> str:
        raw = self._take(_KEY)
        return str(tomllib.loads(f"key = {raw}")["key"]) if raw[0] in "\"'" else raw

    def _value(self, path: Steps) -> None:
        self._space()
        first = self.text[self.at]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline(path)
        else:
            self._take(_SCALAR)

    def _array(self, path: Steps) -> None:
        index = 0
        while self._goes_on("]"):
            self.found[*path, index] = self.line
            self._value((*path, index))
            index += 1

    def _inline(self, path: Steps) -> None:
        while self._goes_on("}"):
            self._pair(path)

    def _goes_on(self, end: str) -> bool:
        """Past the bracket or comma; whether there is another entry before ``end``, which is passed too."""
        self._space()
        if self.text[self.at] != end:
            self.at += 1
            self._space()
        if self.text[self.at] == end:
            self.at += 1
            return False
        return True

    def _space(self) -> None:
        self._take(_SPACE)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(f"no TOML at character {self.at}")
        self.at = match.end()
        return match.group()

    @property
    def line(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

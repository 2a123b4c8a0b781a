"""Role, message and dialog as frozen values. Knows nothing about tokens, formats or vendors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import overload

from puna.errors import DialogError, unknown


class Role(StrEnum):
    """Who speaks. The three roles that every Llama chat container knows."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``content`` is any text that UTF-8 can carry, the empty text included.

    Raises:
        DialogError: the content holds a lone surrogate, which no tokenizer and no wire can carry.
    """

    role: Role
    content: str

    def __post_init__(self) -> None:
        if not isinstance(self.content, str):
            raise DialogError(f"content of a {self.role} message must be text, not {type(self.content).__name__}")
        try:
            self.content.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DialogError(
                f"content of the {self.role} message must be text that UTF-8 can carry, but character "
                f"{error.start} is the lone surrogate {self.content[error.start]!r}; remove or replace it"
            ) from None

    def as_json(self) -> dict[str, str]:
        """``{"role": ..., "content": ...}``, the shape that every chat API uses."""
        return {"role": str(self.role), "content": self.content}


@dataclass(frozen=True, slots=True)
class Dialog(Sequence[Message]):
    """Messages in order. Whether their order is allowed is for a format to say, not for the dialog."""

    messages: tuple[Message, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | Sequence[Message]:
        return self.messages[index]

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def append(self, role: Role, content: str) -> Dialog:
        """A new dialog with one more message; this one stays as it is."""
        return Dialog((*self.messages, Message(role, content)))

    @property
    def system(self) -> str | None:
        """Content of the first message where that is a system message, else None."""
        first = self.messages[0] if self.messages else None
        return first.content if first and first.role is Role.SYSTEM else None

    def as_json(self) -> list[dict[str, str]]:
        """The messages as JSON values."""
        return [message.as_json() for message in self.messages]


_ROLES = {str(role): role for role in Role}
_KEYS = {"role", "content"}


def dialog_of(given: object) -> Dialog:
    """A dialog from JSON values: a list of ``{"role": ..., "content": ...}`` objects.

    Raises:
        DialogError: not a list, an entry of another shape, an unknown role, content that is not text.
    """
    if isinstance(given, Dialog):
        return given
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | dict):
        raise DialogError(
            f'messages must be a list of {{"role": ..., "content": ...}} objects, not {type(given).__name__}'
        )
    return Dialog(tuple(_message_of(n, entry) for n, entry in enumerate(given)))


def _message_of(n: int, entry: object) -> Message:
    if isinstance(entry, Message):
        return entry
    if not isinstance(entry, dict) or entry.keys() != _KEYS:
        came = sorted(map(str, entry)) if isinstance(entry, dict) else type(entry).__name__
        raise DialogError(f'messages[{n}] must be an object with just "role" and "content", but it is {came}')
    role, content = entry["role"], entry["content"]
    known = _ROLES.get(role) if isinstance(role, str) else None
    if known is None:
        raise DialogError(f"messages[{n}]: {unknown('role', role, list(Role))}")
    if not isinstance(content, str):
        raise DialogError(f"messages[{n}].content must be text, not {type(content).__name__}")
    return Message(known, content)

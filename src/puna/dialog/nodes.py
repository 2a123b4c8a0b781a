"""The nodes of a conversation's tree, and how they are read from JSON. Knows no head and no path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from puna.errors import DialogError, InputError, unknown
from puna.messages import Message, Role


@dataclass(frozen=True, slots=True)
class Node:
    """A message in the tree. parent: the number of the message that it follows, None where a conversation begins."""

    parent: int | None
    message: Message


def shown(value: object) -> str:
    """A value as a sentence can show it: ASCII, on one line, at most 80 characters."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


def number_of(given: object, count: int, name: str) -> int:
    """A number of one of ``count`` nodes.

    Raises:
        InputError: it is none; ``name`` says in the sentence what it was to be.
    """
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < count:
        return given
    known = f"0 to {count - 1}" if count else "none yet"
    raise InputError(f"{name} must be the number of a node ({known}), not {shown(given)}; look it up in nodes")


def place_of(given: object, count: int, name: str) -> int | None:
    """A place in the tree: the number of a node, or None before the first.

    Raises:
        InputError: it is neither.
    """
    return None if given is None else number_of(given, count, name)


def list_of(given: object, name: str) -> list[object]:
    """A list, named ``name`` in the sentence that refuses anything else.

    Raises:
        InputError: it is no list.
    """
    if not isinstance(given, list):
        raise InputError(f"{name} of a history must be a list, not {shown(given)}; give [] for none")
    return given


def object_of(given: object, name: str, keys: Iterable[str]) -> dict[str, object]:
    """An object that has exactly these names.

    Raises:
        InputError: it is no object, a name is missing or one is too many.
    """
    wanted = set(keys)
    if isinstance(given, dict) and set(given) == wanted:
        return given
    came = shown(sorted(map(str, given)) if isinstance(given, dict) else given)
    raise InputError(
        f"{name} must be an object with just {', '.join(sorted(wanted))}, but it is {came}; mend its names"
    )


def node_of(n: int, given: object) -> Node:
    """The n-th node of the JSON form. Its parent must be an earlier node, so that there can be no circle.

    Raises:
        InputError: another shape, no such parent, an unknown role, content that is no text.
    """
    entry = object_of(given, f"nodes[{n}]", ("parent", "role", "content"))
    parent, content = entry["parent"], entry["content"]
    if parent is not None and (not isinstance(parent, int) or isinstance(parent, bool) or not 0 <= parent < n):
        earlier = f"an earlier node (0 to {n - 1})" if n else "an earlier node (there is none before the first)"
        raise InputError(
            f"nodes[{n}].parent must be null or the number of {earlier}, not {shown(parent)}; "
            "put a node after the one that it follows"
        )
    try:
        return Node(parent, Message(role_of(entry["role"]), content))  # type: ignore[arg-type]  # Message checks it
    except InputError as error:
        raise InputError(f"nodes[{n}]: {error}") from None


def role_of(given: object) -> Role:
    """A role by its name.

    Raises:
        DialogError: there is no such role; the sentence lists those that there are.
    """
    if not isinstance(given, str) or given not in set(Role):
        raise DialogError(unknown("role", given, list(Role)))
    return Role(given)

"""What the verbs that read stores have in common: how a run is named, and texts that steer no terminal."""

from __future__ import annotations

from puna.errors import InputError


def harmless(text: str, keep: str = "") -> str:
    """Nothing in it that a terminal would obey: what cannot be printed stands as a Python escape. keep: signs that stay."""
    return "".join(
        sign if sign.isprintable() or sign in keep else sign.encode("unicode_escape", "replace").decode()
        for sign in text
    )


def check_named(option: str, given: str | None) -> None:
    """A run that is named by nothing would be any run.

    Raises:
        InputError: an empty text.
    """
    if given is not None and not given.strip():
        raise InputError(
            f"{option} must be the id of a run or the beginning of one, but it is empty; `puna runs ls` lists them"
        )

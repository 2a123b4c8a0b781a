"""What callers give by name: sampling parameters and texts, checked. Knows no conversation."""

from __future__ import annotations

from collections.abc import Mapping

from puna.errors import InputError, SamplingError
from puna.generation import Sampling

ALIASES = {"max_tokens_to_sample": "max_tokens"}
"""The workshop's names of sampling parameters."""


def named(given: Mapping[str, object]) -> dict[str, object]:
    """The sampling parameters that were given, by puna's names. None counts as not given; the workshop's names are taken too.

    Raises:
        SamplingError: an unknown name, a value out of range, or one parameter by both its names.
    """
    for alias, name in ALIASES.items():
        if given.get(alias) is not None and given.get(name) is not None:
            raise SamplingError(f"{alias} and {name} are the same parameter; give one of them")
    found = {ALIASES.get(name, name): value for name, value in given.items() if value is not None}
    checked = Sampling.of(found)
    return {name: getattr(checked, name) for name in found}


def check_text(name: str, value: object) -> None:
    """Refuse what is no text, or none that UTF-8 can carry.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {type(value).__name__}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{name} must be text that UTF-8 can carry, but character {error.start} is the lone surrogate "
            f"{value[error.start]!r}; remove or replace it"
        ) from None

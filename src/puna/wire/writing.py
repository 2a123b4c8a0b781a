"""Requests to bodies, by a dialect's table of fields: the other direction of ``reading``. Knows sampling; no particular dialect."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from puna.errors import InputError
from puna.messages import Dialog
from puna.wire.dialect import Field, Request

OFF: Mapping[str, object] = {
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "seed": None,
    "stop": [],
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Values at which a sampling parameter changes nothing, so that a dialect without it can do without."""


def sampled(
    title: str, fields: Sequence[Field], request: Request, unsent: Collection[str] = ()
) -> dict[str, dict[str, object]]:
    """The fields of the sampling parameters that are given, by the name of the inner object, "" for the body itself.

    title: the dialect's. unsent: parameters that are left out where they are off: the container has them off by itself, and may
    refuse the value.

    Raises:
        InputError: a parameter that is not off has no field.
    """
    values, names = request.sampling.as_json(), _names(fields)
    found: dict[str, dict[str, object]] = {}
    for name, value in values.items():
        off = name in OFF and value == OFF[name]
        if name not in request.given or (off and (name in unsent or value is None)):
            continue
        if name in names:
            outer, _, inner = names[name].rpartition(".")
            found.setdefault(outer, {})[inner] = value
        elif not off:
            raise InputError(f"the dialect {title!r} has no word for {name}, which is {value!r}; leave it off")
    return found


def _names(fields: Sequence[Field]) -> dict[str, str]:
    """The first field of each parameter."""
    names: dict[str, str] = {}
    for entry in fields:
        if entry.to is not None:
            names.setdefault(entry.to, entry.name)
    return names


def text_of(title: str, request: Request) -> str:
    """The one prompt, as text.

    Raises:
        InputError: it is none.
    """
    (prompt,) = request.prompts
    if isinstance(prompt, str):
        return prompt
    kind = "messages" if isinstance(prompt, Dialog) else "token ids"
    raise InputError(
        f"the dialect {title!r} takes a prompt as text, not as {kind}; name the format in which to write it"
    )


def plain(title: str, request: Request, alternatives: int | None) -> None:
    """Refuse what a dialect cannot tell. alternatives: most of them, None where it tells no log-probabilities.

    Raises:
        InputError: more is wanted.
    """
    wanted = request.extras.logprobs
    if wanted is not None and (alternatives is None or wanted > alternatives):
        what = "log-probabilities" if alternatives is None else f"more than {alternatives} alternatives of a token"
        raise InputError(f"the dialect {title!r} tells no {what}; ask without, or through another dialect")
    if request.extras.schema is not None:
        raise InputError(f"the dialect {title!r} takes no JSON schema; ask without, or through a chat dialect")

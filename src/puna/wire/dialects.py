"""The table of dialects: which there are, and which one a body without a word is. A new dialect is one entry here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from puna.wire import chat, completion, huggingface, jumpstart, lmi, tgi, workshop
from puna.wire.dialect import Dialect

_ALL = (
    workshop.DIALECT,
    completion.DIALECT,
    chat.DIALECT,
    jumpstart.DIALECT,
    tgi.DIALECT,
    lmi.DIALECT,
    lmi.SSE_DIALECT,
    tgi.LMI_DIALECT,
    chat.LMI_DIALECT,
    huggingface.DIALECT,
)

DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in _ALL})
"""By name, in the order in which a body is tried."""

HEARS = tuple(dict.fromkeys(dialect.hear for dialect in _ALL))
"""What tells of a record in any dialect, each once."""

AUTO = "auto"
"""Stands for: by the body's shape."""

DEFAULT = workshop.DIALECT
"""The dialect of a body that has the shape of none."""


def dialect_of(value: object, attributes: Mapping[str, str]) -> Dialect:
    """The first dialect whose shape a body has. attributes: of the request's header of custom attributes."""
    if isinstance(value, dict):
        for dialect in _ALL:
            if dialect.fits(value, attributes):
                return dialect
    return DEFAULT

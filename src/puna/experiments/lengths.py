"""How many tokens each prompt of a plan has, by the model's own vocabulary, without an engine. Knows no store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from puna import config
from puna.errors import DialogError
from puna.experiments.plan import AUTO, Cell
from puna.experiments.targets import Found
from puna.formats.base import Writer
from puna.formats.understand import as_written, read, rendered
from puna.generation import Segment
from puna.messages import Dialog
from puna.tokens.base import Running, Tokenizer

Asked = tuple[str, Dialog | str, bool]
"""What makes one prompt of a target: format, what is asked, whether it is sent as it is."""


def asked(cell: Cell) -> Asked:
    """Cells of one target for which this is equal have the same prompt."""
    return (cell.format, cell.ask, cell.raw)


def lengths(found: Found, cells: Iterable[Cell]) -> Mapping[Asked, int | None]:
    """Tokens of each prompt of an embedded target's cells; None where its format refuses the dialog. Blocks for a tenth of a second.

    Raises:
        InputError: an unknown format.
    """
    if found.settings is None:
        return {}
    path = None if found.model is None else found.model.path
    own = config.own_format(found.settings, found.model)
    tokenizer = config.counter_of(path, own).tokenizer
    forms = {AUTO: own}
    told: dict[Asked, int | None] = {}
    for cell in cells:
        if (what := asked(cell)) not in told:
            form = forms.setdefault(cell.format, own if cell.format == AUTO else config.format_of(cell.format))
            told[what] = _count(found, form, cell, tokenizer)
    return told


def _count(found: Found, form: Writer, cell: Cell, tokenizer: Tokenizer) -> int | None:
    try:
        return Running(tokenizer).push(_segments(found, form, cell)).count
    except DialogError:
        return None


def _segments(found: Found, form: Writer, cell: Cell) -> tuple[Segment, ...]:
    """As the spine makes them."""
    if isinstance(cell.ask, Dialog):
        return rendered(cell.ask, form).segments
    facts = None if found.model is None else found.model.facts
    bos = facts.bos if facts is not None and facts.add_bos else None
    if cell.raw or (found.settings is not None and found.settings.prompts == "raw"):
        return as_written(cell.ask, bos=bos).segments
    return read(cell.ask, form, bos=bos, control=facts.control if facts else ()).segments


def window(found: Found, cells: Iterable[Cell]) -> int:
    """Tokens of the largest prompt with what may follow it, of those that the model has room for at all."""
    of = list(cells)
    told = lengths(found, of)
    sizes = [n + _after(cell) for cell in of if (n := told.get(asked(cell))) is not None]
    most = found.model.facts.context_length if found.model else 0
    return max((size for size in sizes if not most or size <= most), default=1)


def _after(cell: Cell) -> int:
    """Most tokens after a prompt: of an answer, or of a continuation, which has no more of them than bytes."""
    return max([cell.sampling.max_tokens, *(len(text.text.encode()) for text in cell.continuations)])

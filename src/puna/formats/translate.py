"""From one family's prompt to another's: read, then write. Knows no family; the catalogue does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from puna.formats.adapt import adapt
from puna.formats.base import Format, Parsed, Writer
from puna.formats.catalog import AUTO, get, parse
from puna.formats.turns import TurnWriter
from puna.generation import Segment
from puna.messages import Dialog, Message, Role


@dataclass(frozen=True, slots=True)
class Translated:
    """A prompt in another family's words.

    parsed: what was read, with its findings; format: what was written. changes: what the target cannot express, and what
    was done instead, a sentence each.
    """

    segments: tuple[Segment, ...]
    parsed: Parsed
    format: str
    changes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The exact text."""
        return "".join(segment.text for segment in self.segments)


def translate(text: str, to: str | Writer, source: str = AUTO) -> Translated:
    """The same dialog in another format. to: a name in the catalogue, or a format; source: a name, plain or auto.

    A begun answer stays begun, a dialog that ends with a whole answer stays whole, and any other asks for an answer.

    Raises:
        InputError: there is no format of one of the names.
        DialogError: the text is not of the source's format, or the target is a template that refuses the dialog.
    """
    target = get(to) if isinstance(to, str) else to
    parsed = parse(text, source)
    return write(parsed, target)


def write(parsed: Parsed, target: Writer) -> Translated:
    """What was read, as another format writes it.

    Raises:
        DialogError: the target is a template that refuses the dialog.
    """
    dialog, target, changes = parsed.dialog, _same_day(parsed, target), list(_own_words(parsed, target))
    if parsed.implied_system is not None and target.name != parsed.format:
        # The author's model read this sentence; another one's format does not bring it.
        dialog = Dialog((Message(Role.SYSTEM, parsed.implied_system), *dialog))
        changes.append(f"the system sentence that {parsed.format} writes by itself became a system message")
    if isinstance(target, TurnWriter):
        adapted = adapt(dialog, target)
        dialog, changes = adapted.dialog, [*changes, *adapted.changes]
        if target.name != parsed.format and target.default and dialog.system is None:
            changes.append(f"{target.title} puts a system sentence of its own first: {target.default!r}")
    prompt = parsed.announced or not dialog or dialog[-1].role is not Role.ASSISTANT
    if parsed.open:
        segments = target.render(dialog, continue_last=True)
    else:
        segments = target.render(dialog, generation_prompt=prompt)
    changes += target.remarks(dialog, generation_prompt=prompt)
    return Translated(segments, parsed, target.name, tuple(changes))


def _same_day(parsed: Parsed, target: Writer) -> Writer:
    """The target with the date that stood in the prompt, where it tells one too."""
    if isinstance(target, TurnWriter) and target.standing and parsed.standing is not None:
        return replace(target, standing=parsed.standing)
    return target


def _own_words(parsed: Parsed, target: Writer) -> Iterator[str]:
    if parsed.standing is not None and not (isinstance(target, TurnWriter) and target.standing):
        yield f"the lines {parsed.standing.strip()!r} are {parsed.format}'s own, and were left out"


def canonical(parsed: Parsed, form: Format) -> str:
    """What was read, as its own format writes it.

    Raises:
        DialogError: the format cannot express it.
    """
    return write(parsed, form).text

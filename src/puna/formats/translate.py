"""From one family's prompt to another's: read, then write. Knows no family; the catalogue does."""

from __future__ import annotations

from dataclasses import dataclass

from puna.formats.base import Format, Parsed
from puna.formats.catalog import AUTO, get, parse
from puna.generation import Segment
from puna.messages import Dialog, Message, Role


@dataclass(frozen=True, slots=True)
class Translated:
    """A prompt in another family's words. parsed: what was read, with its findings; format: what was written."""

    segments: tuple[Segment, ...]
    parsed: Parsed
    format: str

    @property
    def text(self) -> str:
        """The exact text."""
        return "".join(segment.text for segment in self.segments)


def translate(text: str, to: str | Format, source: str = AUTO) -> Translated:
    """The same dialog in another format. to: a name in the catalogue, or a format; source: a name, plain or auto.

    A begun answer stays begun, a dialog that ends with a whole answer stays whole, and any other asks for an answer.

    Raises:
        InputError: there is no format of one of the names.
        DialogError: the text is not of the source's format, or the target cannot express the dialog.
    """
    target = get(to) if isinstance(to, str) else to
    parsed = parse(text, source)
    return Translated(write(parsed, target), parsed, target.name)


def write(parsed: Parsed, target: Format) -> tuple[Segment, ...]:
    """What was read, as another format writes it.

    Raises:
        DialogError: the target cannot express the dialog; the message says what it allows.
    """
    dialog = parsed.dialog
    if parsed.implied_system is not None and target.name != parsed.format:
        # The author's model read this sentence; another one's format does not bring it.
        dialog = Dialog((Message(Role.SYSTEM, parsed.implied_system), *dialog))
    if parsed.open:
        return target.render(dialog, continue_last=True)
    whole = bool(dialog) and dialog[-1].role is Role.ASSISTANT
    return target.render(dialog, generation_prompt=not whole)

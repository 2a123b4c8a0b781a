"""What a caller's prompt means to a model's format: messages are rendered, a written prompt is read and written again.

Knows formats, and of the model only its BOS and its control tokens; no engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from puna.errors import DialogError
from puna.formats import catalog
from puna.formats.base import Writer
from puna.formats.translate import write
from puna.generation import Kind, Segment, Written
from puna.messages import Dialog, Role

RAW = "raw"
"""Format name of a prompt that is sent as its author wrote it."""


@dataclass(frozen=True, slots=True)
class Understood:
    """Segments for the engine, and how they relate to what the caller wrote.

    format: in which they are written. source: in which the caller's text was, where it was recognised. dialog: the messages
    in it. findings: what the caller should know, a sentence each.
    """

    segments: tuple[Segment, ...]
    written: Written
    format: str
    source: str | None = None
    dialog: Dialog | None = None
    findings: tuple[str, ...] = ()


def rendered(dialog: Dialog, form: Writer, *, continue_last: bool = False) -> Understood:
    """A dialog that is to be answered, in the model's format. continue_last: its last message is the begun answer.

    Raises:
        DialogError: the format does not allow it, would leave a message out, or announces no answer where one is due.
    """
    if dialog and not continue_last and not form.announces and dialog[-1].role is not Role.USER:
        raise DialogError(
            f"to be answered, a dialog in the format {form.name} must end with a user message, since nothing announces an "
            f"answer there, but it ends with a message of the {dialog[-1].role}; add the next question"
        )
    if form.left_out(dialog):
        raise DialogError(f"{form.remarks(dialog)[0]}; join it to the first system message, or to a user message")
    segments = form.render(dialog, continue_last=continue_last)
    return Understood(segments, Written.RENDERED, form.name, dialog=dialog, findings=form.remarks(dialog))


def read(text: str, form: Writer, *, bos: str | None, control: Collection[str]) -> Understood:
    """A written prompt, read as the dialog that was meant and written in the model's format; other text as it is.

    Raises:
        DialogError: the model's own template refuses what was meant.
    """
    parsed = catalog.parse(text, own=form.name)
    if parsed.format == catalog.PLAIN:
        return as_written(text, *_control_in(text, control), bos=bos)
    again = write(parsed, form)
    own = parsed.format == form.name
    written = Written.AS_IS if own and again.text == text else Written.REPAIRED if own else Written.TRANSLATED
    findings = (*(finding.message for finding in parsed.findings), *again.changes)
    return Understood(again.segments, written, form.name, parsed.format, parsed.dialog, findings)


def as_written(text: str, *findings: str, bos: str | None) -> Understood:
    """The caller's own text; a vocabulary that demands a BOS gets it exactly once."""
    if bos is None or text.startswith(bos):
        return Understood((Segment(Kind.CONTROL, text),), Written.AS_IS, RAW, findings=findings)
    segments = (Segment(Kind.CONTROL, bos), Segment(Kind.CONTROL, text))
    said = (*findings, f"{bos} was put first, as the vocabulary demands")
    return Understood(segments, Written.AS_IS, RAW, findings=said)


def for_endpoint(prompt: str | Dialog) -> Understood:
    """An endpoint gets messages, or the caller's own text, and renders by itself."""
    if isinstance(prompt, Dialog):
        return Understood((), Written.RENDERED, "endpoint", dialog=prompt)
    return Understood((Segment(Kind.CONTROL, prompt),), Written.AS_IS, RAW)


def _control_in(text: str, control: Collection[str]) -> Iterator[str]:
    """What its author should know of a text of no known format that is sent as it is."""
    for token in sorted(control):
        if token in text:
            yield f"no known format was recognised, so {token} is sent as the model's control token of that name"

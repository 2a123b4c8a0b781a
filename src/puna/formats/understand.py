"""What a caller's prompt means to a model's format: messages are rendered, a written prompt is read and written again.

Knows formats, and of the model only its BOS and its control tokens; no engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from puna.errors import DialogError, InputError
from puna.formats import catalog
from puna.formats.base import Parsed, Writer
from puna.formats.escaping import escaped_dialog, escaped_segments
from puna.formats.translate import write
from puna.generation import Kind, Segment, Written
from puna.messages import Dialog, Message, Role

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

    @property
    def messages(self) -> Dialog:
        """The messages in it.

        Raises:
            InputError: it is a text of its author's own.
        """
        if self.dialog is None:
            raise InputError(
                "a server that takes messages tells the prompt of messages only, not of a text; give messages"
            )
        return self.dialog

    def stops(self, form: Writer | None, control: Collection[str]) -> tuple[str, ...]:
        """The format's stops that are plain text to this model; its control tokens the engine knows by itself."""
        if self.format == RAW or form is None:
            return ()
        return tuple(stop for stop in form.stops if stop.strip() not in control)


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


def for_endpoint(prompt: str | Dialog, *, control: Collection[str] | None = None, reads: bool = False) -> Understood:
    """An engine gets messages, or the caller's own text, and renders by itself.

    control: None where it keeps messages from becoming control tokens; else its control tokens, empty where nobody knows them, and
    what could become one is escaped. reads: a written prompt of a known family is sent as the messages in it.

    Raises:
        InputError: a written prompt ends with a begun answer, which messages cannot express.
    """
    if isinstance(prompt, Dialog):
        dialog, told = (prompt, ()) if control is None else escaped_dialog(prompt, control)
        return Understood((), Written.RENDERED, "endpoint", dialog=dialog, findings=told)
    parsed = catalog.parse(prompt) if reads else None
    if parsed is None or parsed.format == catalog.PLAIN:
        return Understood((Segment(Kind.CONTROL, prompt),), Written.AS_IS, RAW)
    again = for_endpoint(_messages_in(parsed), control=control)
    findings = (*(finding.message for finding in parsed.findings), *again.findings)
    return replace(again, written=Written.TRANSLATED, source=parsed.format, findings=findings)


def _messages_in(parsed: Parsed) -> Dialog:
    """The dialog of a written prompt, with the system sentence that its own family's servers would have put first."""
    if parsed.open or not parsed.dialog or parsed.dialog[-1].role is Role.ASSISTANT:
        raise InputError(
            f"the prompt is written in the format {parsed.format} and ends with an answer, which a server that takes messages does "
            "not go on with; end it with the user's message, or send it raw"
        )
    if parsed.implied_system is None:
        return parsed.dialog
    return Dialog((Message(Role.SYSTEM, parsed.implied_system), *parsed.dialog))


def understand(
    prompt: str | Dialog | tuple[int, ...],
    form: Writer | None,
    *,
    raw: bool = False,
    continues: bool = False,
    bos: str | None = None,
    control: Collection[str] = (),
    escape: bool = False,
    reads: bool = False,
) -> Understood:
    """What a caller's prompt means. form: None where the engine renders messages itself.

    raw: a text is sent as it is. continues: the last message is the begun answer. bos, control: of the vocabulary. escape: what could
    become a control token in a message is escaped, since no ids are sent. reads: as in ``for_endpoint``.

    Raises:
        DialogError: the format cannot express it. InputError: messages cannot.
    """
    if isinstance(prompt, tuple):
        return Understood((), Written.AS_IS, RAW)
    if form is None:
        return for_endpoint(prompt, control=control if escape else None, reads=reads and not raw)
    if isinstance(prompt, Dialog):
        found = rendered(prompt, form, continue_last=continues)
    elif raw:
        return as_written(prompt, bos=bos)
    else:
        found = read(prompt, form, bos=bos, control=control)
    return as_text(found, control) if escape else found


def as_text(understood: Understood, control: Collection[str]) -> Understood:
    """What is to be sent as text: contents escaped, the caller's own raw text as it is.

    Raises:
        DialogError: a marker stands across the border of a message.
    """
    if understood.format == RAW:
        return understood
    segments, told = escaped_segments(understood.segments, control)
    return replace(understood, segments=segments, findings=(*understood.findings, *told))


def _control_in(text: str, control: Collection[str]) -> Iterator[str]:
    """What its author should know of a text of no known format that is sent as it is."""
    for token in sorted(control):
        if token in text:
            yield f"no known format was recognised, so {token} is sent as the model's control token of that name"

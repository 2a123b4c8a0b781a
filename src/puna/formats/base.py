"""What a chat format is: dialog to text and back. Knows neither tokens nor engines; no socket, clock or environment.

A format renders a dialog to segments. Text that the format writes is *control*, text that a person or a model wrote is
*content*; only in control segments may a tokenizer find control tokens, so no message becomes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from puna.formats.tags import Seams
from puna.generation import Segment
from puna.messages import Dialog


@dataclass(frozen=True, slots=True)
class Finding:
    """A slip in a written prompt. start, end: its span in characters; fix: what should stand there, None to ask."""

    code: str
    severity: str
    start: int
    end: int
    message: str
    fix: str | None = None

    def as_json(self) -> dict[str, object]:
        """The finding as ``puna prompt lint --json`` prints it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "start": self.start,
            "end": self.end,
            "message": self.message,
            "fix": self.fix,
        }


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a written prompt means.

    confidence: [0, 1], how surely the text is of this format. open: the last message is the begun answer that the
    model is to continue. announced: the text ends with what announces an answer. findings: what was written otherwise
    than the format says, in text order. also: formats that the text fits just as well. implied_system, standing: the
    format's own default system text, and its own words in the system turn (with a date), where they stood in the text;
    they are no message, since the format adds them by itself.
    """

    format: str
    confidence: float
    dialog: Dialog
    open: bool = False
    findings: tuple[Finding, ...] = ()
    implied_system: str | None = None
    announced: bool = False
    also: tuple[str, ...] = ()
    standing: str | None = None


class Writer(Protocol):
    """What every format can do, a model's own template included: write."""

    @property
    def name(self) -> str:
        """The name in the catalogue, such as ``llama2``."""

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an assistant turn."""

    @property
    def announces(self) -> bool:
        """Whether a generation prompt is written; where not, the model can only answer a user message."""

    def render(
        self, dialog: Dialog, *, generation_prompt: bool = True, continue_last: bool = False
    ) -> tuple[Segment, ...]:
        """The dialog as the model was trained to see it.

        generation_prompt: end with whatever announces the assistant's turn, where the format has such a thing.
        continue_last: the last message is an assistant's begun answer; leave it open for the model to continue.

        Raises:
            DialogError: the format does not allow this dialog; the message says what it allows.
        """

    def text(self, dialog: Dialog, *, generation_prompt: bool = True, continue_last: bool = False) -> str:
        """The text of ``render``, several times faster.

        Raises:
            DialogError: as ``render``.
        """

    def remarks(self, dialog: Dialog, *, generation_prompt: bool = True) -> tuple[str, ...]:
        """What of the dialog the vendor's format leaves out or writes as something else, a sentence each."""

    def left_out(self, dialog: Dialog) -> tuple[int, ...]:
        """Numbers of the messages that the vendor's format does not write at all, though they hold text."""

    def parse(self, text: str) -> Parsed:
        """The dialog that the text's author meant, slips and all.

        Raises:
            DialogError: the text cannot be read as this format at all.
        """


class Format(Writer, Protocol):
    """One family's chat format, a value."""

    def __hash__(self) -> int:
        """Formats are keys: what is worked out of one is kept."""

    @property
    def title(self) -> str:
        """The family's name in sentences, such as ``Llama 2``."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Texts by which the format marks turns: a model of the family, or a careless server, obeys them anywhere."""

    @property
    def headers(self) -> tuple[str, ...]:
        """Those of the tags that begin a message."""

    @property
    def misspelt(self) -> tuple[str, ...]:
        """Spellings of its tags that the reader knows as slips of their own."""

    @property
    def seams(self) -> Seams:
        """All that the format writes around contents, by which one family is told from its relatives."""

    @property
    def decisive(self) -> str:
        """What no other family writes, as a regular expression; empty where its tags are others' too."""

    @property
    def own_words(self) -> str:
        """The format's own words in the system turn, as a regular expression; empty where it has none."""

    @property
    def system_allowed(self) -> str:
        """Where a system message may stand: ``anywhere``, ``first`` or ``never``."""

    @property
    def alternates(self) -> bool:
        """Whether user and assistant must speak in turn, the user first."""

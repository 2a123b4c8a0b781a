"""What a chat format is: dialog to text and back. Knows neither tokens nor engines; no socket, clock or environment.

A format renders a dialog to segments. Text that the format writes is *control*, text that a person or a model wrote is
*content*; only in control segments may a tokenizer find control tokens, so no message becomes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
        """The finding as ``puna prompt parse --json`` prints it."""
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
    model is to continue. findings: what was written otherwise than the format says, in text order. implied_system: the
    format's own default system text, where it stood in the text; it is no message, since the format adds it by itself.
    """

    format: str
    confidence: float
    dialog: Dialog
    open: bool = False
    findings: tuple[Finding, ...] = ()
    implied_system: str | None = None


class Format(Protocol):
    """One family's chat format."""

    @property
    def name(self) -> str:
        """The name in the catalogue, such as ``llama2``."""

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an assistant turn."""

    def render(
        self, dialog: Dialog, *, generation_prompt: bool = True, continue_last: bool = False
    ) -> tuple[Segment, ...]:
        """The dialog as the model was trained to see it.

        generation_prompt: end with whatever announces the assistant's turn, where the format has such a thing.
        continue_last: the last message is an assistant's begun answer; leave it open for the model to continue.

        Raises:
            DialogError: the format does not allow this dialog; the message says what it allows.
        """

    def parse(self, text: str) -> Parsed:
        """The dialog that the text's author meant, slips and all.

        Raises:
            DialogError: the text cannot be read as this format at all.
        """

"""Builds segments: the two kinds by short names, and what every family's ``render`` checks first."""

from __future__ import annotations

from collections.abc import Iterable

from puna.errors import DialogError
from puna.generation import Kind, Segment
from puna.messages import Dialog, Role


def control(text: str, role: Role | None = None) -> Segment:
    """Text that the format writes."""
    return Segment(Kind.CONTROL, text, role)


def content(text: str, role: Role) -> Segment:
    """Text that a person or a model wrote."""
    return Segment(Kind.CONTENT, text, role)


def written(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """The segments that have text; an empty message leaves none."""
    return tuple(segment for segment in segments if segment.text)


def check_not_empty(dialog: Dialog, name: str) -> None:
    """Refuse a dialog of no messages.

    Raises:
        DialogError: there is none.
    """
    if not dialog:
        raise DialogError(
            f"{name} needs at least one user message, but the dialog is empty; add what the model is asked"
        )


def check_begun(dialog: Dialog) -> None:
    """Refuse to continue anything but an assistant's message.

    Raises:
        DialogError: the last message is somebody else's.
    """
    if not dialog or dialog[-1].role is not Role.ASSISTANT:
        came = f"of the {dialog[-1].role}" if dialog else "missing"
        raise DialogError(
            f"continue_last goes on with a begun answer, so the last message must be the assistant's, but it is {came}; "
            "add the begun answer, or leave continue_last out"
        )

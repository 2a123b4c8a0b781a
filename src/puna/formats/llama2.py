"""Llama 2 Chat: a dialog to its text. Knows neither tokens nor engines; ``llama2_parse.py`` reads the text back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from puna.formats.base import Parsed
from puna.formats.llama2_parse import parse
from puna.formats.llama2_tags import BOS, END_INST, END_INST_TYPO, END_SYS, END_SYS_TYPO, EOS, EOS_TYPO, INST, SYS
from puna.formats.tags import Seams, Tags
from puna.formats.turns import Place, Turn, TurnWriter
from puna.messages import Dialog

_SYS_BEFORE, _SYS_AFTER = f"{SYS}\n", f"\n{END_SYS}\n\n"


@dataclass(frozen=True)
class Llama2(TurnWriter):
    r"""The format that Meta's own ``chat_completion`` writes, character for character.

    ::

        <s>[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST] {answer} </s><s>[INST] {user} [/INST]

    There is nothing between ``</s>`` and ``<s>``, and no marker of the assistant's turn: the model writes the space
    before its answer itself. ``<s>`` and ``</s>`` are the token ids 1 and 2; all other tags are ordinary text, which
    is encoded together with the contents between them.

    Trimming: user texts and answers are stripped as ``str.strip`` does (U+00A0 and U+3000 go, U+200B stays). The
    system text is not; the first user text under it loses trailing whitespace only, because the reference strips the
    folded turn as a whole. For the same reason the two newlines after ``<</SYS>>`` go when that user text is blank.
    An empty system text still writes its tags. A begun answer loses leading whitespace only; one that is blank is no
    answer yet and leaves ``[/INST]`` at the end.

    Differs from the reference, with the template on Hugging Face: a dialog may end with an answer, a system message where
    the assistant should speak is left out (``remarks`` says so, and the endpoint refuses it), and tags inside contents
    are not refused. A typed ``<s>`` or ``</s>`` stays text; a typed ``[INST]`` has the same ids as the
    format's own, since the brackets are no tokens: no vocabulary can keep them apart, and reading notes it.

    Source: https://github.com/meta-llama/llama ``llama/generation.py`` lines 284-395 (689c7f26), read 2026-11-22;
    the rule since 2023-08-07.
    """

    def parse(self, text: str) -> Parsed:
        """The dialog in a prompt, however it is spelled.

        Raises:
            DialogError: there is no tag of Llama 2 in the text.
        """
        return parse(text)

    @property
    def decisive(self) -> str:
        """A system text in its tags, at the beginning of a turn."""
        return r"(?:\A|\[INST\]|<s>)\s*<<SYS>>"

    @property
    def misspelt(self) -> tuple[str, ...]:
        """With a backslash, as a published workshop teaches it."""
        return EOS_TYPO, END_INST_TYPO, END_SYS_TYPO

    def _folding(self, dialog: Dialog, since: int) -> Iterator[Turn]:
        """With the system text, tagged, inside the first user message."""
        system, user = dialog.messages[:2]
        if since == 0:
            bare = not user.content.strip()
            # The two line breaks are whitespace at the end of the turn where the user text is blank.
            yield system, f"{BOS}{INST} {_SYS_BEFORE}", system.content, _SYS_AFTER.rstrip() if bare else _SYS_AFTER
        if since <= 1:
            yield user, "", user.content.rstrip(), self.user.after
        yield from self._plain(dialog.messages, max(since, 2))

    @cached_property
    def seams(self) -> Seams:
        """With what stands around a system text."""
        openings, betweens, endings = super().seams
        return Seams(openings | {f"{BOS}{INST} {_SYS_BEFORE}"}, betweens | {_SYS_AFTER}, endings)


LLAMA2 = Llama2(
    "llama2",
    "Llama 2",
    Tags(f"{BOS}{INST} ", f" {END_INST}", trim=True),
    Tags(" ", f" {EOS}", trim=True),
    None,
    stops=(EOS,),
    place=Place.FIRST_USER,
    drops_late_system=True,
    alternates=True,
)

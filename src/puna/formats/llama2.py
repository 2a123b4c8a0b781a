"""Llama 2 Chat: a dialog to its text. Knows neither tokens nor engines; ``llama2_parse.py`` reads the text back."""

from __future__ import annotations

from collections.abc import Iterator

from puna.errors import DialogError
from puna.formats.base import Parsed
from puna.formats.llama2_parse import parse
from puna.formats.llama2_tags import BOS, END_INST, END_SYS, EOS, INST, SYS
from puna.formats.segments import check_begun, check_not_empty, content, control, written
from puna.generation import Segment
from puna.messages import Dialog, Message, Role


class Llama2:
    r"""The format that Meta's own ``chat_completion`` writes, character for character.

    ::

        <s>[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST] {answer} </s><s>[INST] {user} [/INST]

    There is nothing between ``</s>`` and ``<s>``, and no marker of the assistant's turn: the model writes the space
    before its answer itself. ``<s>`` and ``</s>`` are the token ids 1 and 2; all other tags are ordinary text, which
    is encoded together with the contents between them.

    Trimming: user texts and answers are stripped as ``str.strip`` does (U+00A0 and U+3000 go, U+200B stays). The
    system text is not; the first user text under it loses trailing whitespace only, because the reference strips the
    folded turn as a whole. For the same reason the two newlines after ``<</SYS>>`` go when that user text is blank.
    A begun answer loses leading whitespace only; one that is blank is no answer yet and leaves ``[/INST]`` at the end.

    Differs from the reference: a dialog may end with an answer when no generation prompt is asked for (as in the
    template on Hugging Face), and tags inside contents are not refused. A typed ``<s>`` or ``</s>`` stays text; a typed
    ``[INST]`` has the same ids as the format's own, since the brackets are no tokens: no vocabulary can keep them apart.

    Source: https://github.com/meta-llama/llama ``llama/generation.py`` lines 284-395 (689c7f26), read 2026-11-22.
    """

    name = "llama2"
    stops = (EOS,)

    def render(
        self, dialog: Dialog, *, generation_prompt: bool = True, continue_last: bool = False
    ) -> tuple[Segment, ...]:
        """The dialog's segments; ``generation_prompt`` writes nothing, it only demands that the user speaks last.

        Raises:
            DialogError: no user message, a system message that is not the first, turns that do not alternate, or an
                answer at the end that is neither to be continued nor left as it is.
        """
        check_not_empty(dialog, "Llama 2")
        if continue_last:
            check_begun(dialog)
        system, turns = dialog.system, dialog.messages
        if system is not None:
            turns = turns[1:]
        _check_order(turns)
        if generation_prompt and not continue_last:
            _check_user_last(turns)
        return written(_segments(system, turns, open_end=continue_last))

    def parse(self, text: str) -> Parsed:
        """The dialog in a prompt, however it is spelled.

        Raises:
            DialogError: there is no tag of Llama 2 in the text.
        """
        return parse(text)


def _check_order(turns: tuple[Message, ...]) -> None:
    if not turns:
        raise DialogError(
            "Llama 2 puts the system message into the first user turn, but there is no user message; add one"
        )
    for n, message in enumerate(turns):
        want = Role.ASSISTANT if n % 2 else Role.USER
        if message.role is Role.SYSTEM:
            raise DialogError(
                "Llama 2 allows one system message, and only as the first message, but another stands later; "
                "join the system messages, or write the later one into a user message"
            )
        if message.role is not want:
            raise DialogError(
                f"Llama 2 turns must alternate user, assistant, user, ..., but turn {n + 1} is of the {message.role} where "
                f"the {want} must speak; join neighbours of one role, or add the missing {want} message"
            )


def _check_user_last(turns: tuple[Message, ...]) -> None:
    if turns[-1].role is not Role.USER:
        raise DialogError(
            "to be answered, a Llama 2 dialog must end with a user message, but it ends with an answer; add the next "
            "question, continue the answer (continue_last), or ask for no generation prompt"
        )


def _segments(system: str | None, turns: tuple[Message, ...], *, open_end: bool) -> Iterator[Segment]:
    for n, message in enumerate(turns):
        if message.role is Role.ASSISTANT:
            yield from _answer(message.content, is_open=open_end and n == len(turns) - 1)
        else:
            yield from _question(system if n == 0 else None, message.content)


def _question(system: str | None, user: str) -> Iterator[Segment]:
    yield control(BOS)
    yield control(f"{INST} ", Role.USER)
    if system is None:
        yield content(user.strip(), Role.USER)
    else:
        yield control(f"{SYS}\n", Role.SYSTEM)
        yield content(system, Role.SYSTEM)
        yield control(f"\n{END_SYS}\n\n" if user.strip() else f"\n{END_SYS}", Role.SYSTEM)
        yield content(user.rstrip(), Role.USER)
    yield control(f" {END_INST}", Role.USER)


def _answer(answer: str, *, is_open: bool) -> Iterator[Segment]:
    if not is_open:
        yield control(" ", Role.ASSISTANT)
        yield content(answer.strip(), Role.ASSISTANT)
        yield control(f" {EOS}", Role.ASSISTANT)
    elif answer.strip():
        yield control(" ", Role.ASSISTANT)
        yield content(answer.lstrip(), Role.ASSISTANT)

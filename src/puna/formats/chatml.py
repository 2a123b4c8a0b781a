r"""ChatML, plain and as SmolLM2 has it: a dialog to its text. ``chatml_parse.py`` reads the text back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from puna.formats.base import Parsed
from puna.formats.chatml_parse import parse
from puna.formats.chatml_tags import END, START
from puna.formats.segments import check_begun, check_not_empty, content, control, written
from puna.generation import Segment
from puna.messages import Dialog, Message, Role


@dataclass(frozen=True, slots=True)
class ChatML:
    r"""Every message alike, nothing trimmed, no BOS.

    ::

        <|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n

    The generation prompt is the last header. Any order of roles is allowed, as in the models' own templates, and a
    dialog that ends with an answer may be given a generation prompt: a second answer is then asked for.

    default_system: what stands as the system text of a dialog that does not begin with a system message; None where
    the family has no such sentence. ``parse`` drops it again, so an own system message of exactly these words is the
    one thing that does not come back; nor does a begun answer that is blank, which looks like the generation prompt.

    Sources, read 2026-11-22: https://huggingface.co/teknium/OpenHermes-2.5-Mistral-7B and
    https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct, ``chat_template`` of ``tokenizer_config.json``.
    """

    name: str = "chatml"
    default_system: str | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The one token that ends a turn."""
        return (END,)

    def render(
        self, dialog: Dialog, *, generation_prompt: bool = True, continue_last: bool = False
    ) -> tuple[Segment, ...]:
        """The dialog's segments.

        Raises:
            DialogError: there is no message, or none of the assistant's to continue.
        """
        check_not_empty(dialog, "ChatML")
        if continue_last:
            check_begun(dialog)
        return written(self._segments(dialog, generation_prompt and not continue_last, is_open=continue_last))

    def parse(self, text: str) -> Parsed:
        """The dialog in a prompt, slips and all.

        Raises:
            DialogError: there is no ``<|im_start|>`` with a role in the text, or the role is none of the three.
        """
        return parse(text, self.name, self.default_system)

    def _segments(self, dialog: Dialog, generation_prompt: bool, *, is_open: bool) -> Iterator[Segment]:
        if self.default_system is not None and dialog.system is None:
            # Control: these are the format's own words, nobody in the dialog wrote them.
            yield control(f"{START}{Role.SYSTEM}\n{self.default_system}{END}\n", Role.SYSTEM)
        for n, message in enumerate(dialog):
            yield from _turn(message, is_open=is_open and n == len(dialog) - 1)
        if generation_prompt:
            yield control(f"{START}{Role.ASSISTANT}\n", Role.ASSISTANT)


def _turn(message: Message, *, is_open: bool) -> Iterator[Segment]:
    yield control(f"{START}{message.role}\n", message.role)
    yield content(message.content, message.role)
    if not is_open:
        yield control(f"{END}\n", message.role)


CHATML = ChatML()
SMOLLM2 = ChatML("smollm2", "You are a helpful AI assistant named SmolLM, trained by Hugging Face")

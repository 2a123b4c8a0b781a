"""A model's own Jinja template as a format. Knows the template's text, and nothing of the family it is for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date

from jinja2 import Template, TemplateError

from puna.errors import DialogError
from puna.formats.base import Parsed
from puna.formats.jinja_sandbox import Sandbox
from puna.formats.jinja_split import marked, split
from puna.formats.segments import check_begun, control
from puna.generation import Kind, Segment
from puna.messages import Dialog, Message, Role

MAX_TEXT = 16_000_000
"""Characters that a template may write; the longest context windows hold some four million."""


class Jinja:
    """The format that a chat template writes, in the environment that transformers gives it.

    template: its text; one line break at its very end does not count. bos_token, eos_token: texts, None where the
    model has none (the template then finds them undefined). control: texts of the model's control tokens, by which a
    message that could forge one is told. today: what ``strftime_now`` tells; the clock is never asked.

    Which part of a render is a message's and which the template's own is found by rendering twice, the second time
    with marks in place of the messages. Where that cannot be told (the template rewrites a message), the whole render
    is one control segment, and a dialog that holds a control token's text is refused.

    Raises:
        DialogError: the template is not valid Jinja.
    """

    name = "jinja"

    def __init__(
        self,
        template: str,
        bos_token: str | None = None,
        eos_token: str | None = None,
        *,
        control: Collection[str] = (),
        today: date | None = None,
    ) -> None:
        self._tokens = {
            name: text for name, text in (("bos_token", bos_token), ("eos_token", eos_token)) if text is not None
        }
        self._control = frozenset(filter(None, (*control, *self._tokens.values())))
        self._template = _compiled(template, today)
        self.stops: tuple[str, ...] = (eos_token,) if eos_token else ()

    def render(
        self, dialog: Dialog, *, generation_prompt: bool = True, continue_last: bool = False
    ) -> tuple[Segment, ...]:
        """The dialog's segments.

        Raises:
            DialogError: the template refuses the dialog, fails or does too much; a begun answer cannot be found in
                its text; or a message holds a control token's text and cannot be told from the template's own.
        """
        if continue_last:
            check_begun(dialog)
        prompt = generation_prompt and not continue_last
        true = self._text(dialog, prompt)
        marks = marked(dialog)
        segments = split(true, self._again(marks.dialog, prompt), marks)
        if continue_last:
            return _without_end(segments, dialog[-1])
        if segments is None:
            self._refuse_control(dialog)
            return (control(true),) if true else ()
        return segments

    def parse(self, text: str) -> Parsed:  # noqa: ARG002  # the protocol's
        """Nothing: a template is a program, and cannot be run backwards.

        Raises:
            DialogError: always.
        """
        raise DialogError(
            "a prompt cannot be read back through a Jinja template, which only writes; name the prompt's format, "
            "such as llama2 or chatml, or let it be recognised (auto)"
        )

    def _text(self, dialog: Dialog, generation_prompt: bool) -> str:
        pieces = self._template.generate(
            messages=dialog.as_json(),
            add_generation_prompt=generation_prompt,
            tools=None,
            documents=None,
            **self._tokens,
        )
        try:
            text = _bounded(pieces)
            text.encode("utf-8")  # a template can write a lone surrogate, which nothing after it can carry
        # A template is somebody else's program: whatever it raises, the dialog cannot be rendered, and that is all.
        except Exception as error:
            raise DialogError(f"the model's chat template refuses this dialog: {_sentence(error)}") from error
        return text

    def _again(self, dialog: Dialog, generation_prompt: bool) -> str | None:
        """The same with marks; None where the template refuses those, as it may look into the contents."""
        try:
            return self._text(dialog, generation_prompt)
        except DialogError:
            return None

    def _refuse_control(self, dialog: Dialog) -> None:
        for n, message in enumerate(dialog):
            for text in sorted(self._control):
                if text in message.content:
                    raise DialogError(
                        f"message {n} holds {text!r}, which is a control token of the model, and the model's template "
                        "rewrites messages, so that the two cannot be told apart; remove it from the message"
                    )


def _bounded(pieces: Iterable[str]) -> str:
    """The pieces together, as long as they come to no end of characters."""
    kept: list[str] = []
    length = 0
    for piece in pieces:
        kept.append(piece)
        length += len(piece)
        if length > MAX_TEXT:
            raise TemplateError(f"it writes more than {MAX_TEXT} characters")
    return "".join(kept)


def _compiled(template: str, today: date | None) -> Template:
    try:
        return Sandbox(today).from_string(template)
    except (TemplateError, RecursionError, ValueError, OverflowError, SyntaxError) as error:
        raise DialogError(
            f"a chat template must be valid Jinja, but this one is not: {_sentence(error)}; take it from the model's own "
            "files, or name the family's format instead"
        ) from error


def _sentence(error: Exception) -> str:
    """The template's own words where it has any."""
    kind = "" if isinstance(error, TemplateError) else f"{type(error).__name__}: "
    return f"{kind}{str(error)[:500] or type(error).__name__}"


def _without_end(segments: Sequence[Segment] | None, last: Message) -> tuple[Segment, ...]:
    """Everything up to the end of the begun answer."""
    kept = list(segments or ())
    while kept and not (kept[-1].kind is Kind.CONTENT and kept[-1].role is Role.ASSISTANT):
        kept.pop()
    if not kept or kept[-1].text.strip() != last.content.strip():
        raise DialogError(
            "the begun answer cannot be found in what the model's template writes, so it cannot be continued; "
            "give an answer that has text, or leave continue_last out"
        )
    return tuple(kept)

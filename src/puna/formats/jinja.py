"""A model's own Jinja template as a format. Knows the template's text, and nothing of the family it is for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from traceback import clear_frames

from jinja2 import Template, TemplateError
from jinja2.exceptions import SecurityError, TemplateAssertionError

from puna.errors import DialogError
from puna.formats.base import Parsed
from puna.formats.jinja_budget import UNITS, UNITS_PER_BYTE, UNITS_PER_MESSAGE, size_of
from puna.formats.jinja_sandbox import Sandbox
from puna.formats.jinja_split import marked, split
from puna.formats.segments import check_begun, control
from puna.generation import Kind, Segment
from puna.messages import Dialog, Message, Role

MAX_SENTENCE = 500
"""Characters of what a template says of an error."""


class Jinja:
    """The format that a chat template writes, in the environment that transformers gives it.

    template: its text; one line break at its very end does not count. bos_token, eos_token: texts, None where the
    model has none (the template then finds them undefined). control: texts of the model's control tokens, by which a
    message that could forge one is told. today: what ``strftime_now`` tells; the clock is never asked. date_string: the
    variable of that name, in which templates of Llama 3 look for the date; None leaves it undefined, and them to theirs.

    Which part of a render is a message's and which the template's own is found by rendering twice, the second time
    with marks in place of the messages. Where that cannot be told (the template rewrites a message), the whole render
    is one control segment, and a dialog that holds a control token's text is refused.

    Raises:
        DialogError: the template is not valid Jinja, or uses what the sandbox does not have.
    """

    name = "jinja"
    announces = True

    def __init__(
        self,
        template: str,
        bos_token: str | None = None,
        eos_token: str | None = None,
        *,
        control: Collection[str] = (),
        today: date | None = None,
        date_string: str | None = None,
    ) -> None:
        given = {"bos_token": bos_token, "eos_token": eos_token, "date_string": date_string}
        self._given = {name: text for name, text in given.items() if text is not None}
        self._control = frozenset(filter(None, (*control, bos_token, eos_token)))
        self._sandbox = Sandbox(today)
        self._template = _compiled(self._sandbox, template)
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
        units = _units(dialog)
        true = self._text(dialog, prompt, units)
        marks = marked(dialog)
        segments = split(true, self._again(marks.dialog, prompt, units), marks)
        if continue_last:
            return _without_end(segments, dialog[-1])
        if segments is None:
            self._refuse_control(dialog)
            return (control(true),) if true else ()
        return segments

    def text(self, dialog: Dialog, *, generation_prompt: bool = True, continue_last: bool = False) -> str:
        """The exact text that the template writes, for reading: no part of it is told from another.

        Raises:
            DialogError: as ``render``, but no message is looked into unless the last is to be continued.
        """
        if continue_last:
            segments = self.render(dialog, generation_prompt=generation_prompt, continue_last=True)
            return "".join(segment.text for segment in segments)
        return self._text(dialog, generation_prompt, _units(dialog))

    def remarks(self, dialog: Dialog, *, generation_prompt: bool = True) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing: what a template does with a dialog is not known before."""
        return ()

    def left_out(self, dialog: Dialog) -> tuple[int, ...]:  # noqa: ARG002
        """None that are known of: see ``remarks``."""
        return ()

    def parse(self, text: str) -> Parsed:  # noqa: ARG002  # the protocol's
        """Nothing: a template is a program, and cannot be run backwards.

        Raises:
            DialogError: always.
        """
        raise DialogError(
            "a prompt cannot be read back through a Jinja template, which only writes; name the prompt's format, "
            "such as llama2 or chatml, or let it be recognised (auto)"
        )

    def _text(self, dialog: Dialog, generation_prompt: bool, units: int) -> str:
        variables = {
            "messages": dialog.as_json(),
            "add_generation_prompt": generation_prompt,
            "tools": None,
            "documents": None,
            **self._given,
        }
        try:
            text = "".join(self._sandbox.pieces(self._template, variables, units))
            _check_carried(text)
        # A template is somebody else's program: whatever it raises, the dialog cannot be rendered, and that is all.
        except Exception as error:
            clear_frames(error.__traceback__)  # they hold all that the template made
            raise DialogError(f"the model's chat template refuses this dialog: {_sentence(error)}") from error
        return text

    def _again(self, dialog: Dialog, generation_prompt: bool, units: int) -> str | None:
        """The same with marks; None where the template refuses those, as it may look into the contents."""
        try:
            return self._text(dialog, generation_prompt, units)
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


def _check_carried(text: str) -> None:
    """Refuse a lone surrogate, which a template can write, and nothing after it can carry."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        at = error.start
    else:
        return
    raise TemplateError(f"it writes a lone surrogate at character {at}")


def _units(dialog: Dialog) -> int:
    """The work that a template may do for a dialog."""
    return UNITS + UNITS_PER_MESSAGE * len(dialog) + UNITS_PER_BYTE * size_of(message.content for message in dialog)


def _compiled(sandbox: Sandbox, template: str) -> Template:
    try:
        return sandbox.template(template)
    except (SecurityError, TemplateAssertionError) as error:
        raise DialogError(
            f"a chat template must be one that the sandbox can run, but this one is not: {_sentence(error)}; take it from the "
            "model's own files, or name the family's format instead"
        ) from error
    except Exception as error:  # Jinja's, and Python's when it compiles what Jinja made of it
        clear_frames(error.__traceback__)
        raise DialogError(
            f"a chat template must be valid Jinja, but this one is not: {_sentence(error)}; take it from the model's own "
            "files, or name the family's format instead"
        ) from error


def _sentence(error: Exception) -> str:
    """The template's own words where it has any, on one line, and without what could steer a terminal."""
    kind = "" if isinstance(error, TemplateError) else f"{type(error).__name__}: "
    said = str(error)[: MAX_SENTENCE + 1]
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in said[:MAX_SENTENCE]).split())
    return kind + (words.rstrip(".") or type(error).__name__) + (" ..." if len(said) > MAX_SENTENCE else "")


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

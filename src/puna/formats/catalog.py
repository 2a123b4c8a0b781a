"""Names to formats, and recognising a family: by the tags in a prompt, or by what a model's own template writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from types import MappingProxyType

from puna.errors import DialogError, InputError, unknown
from puna.formats.base import Format, Parsed
from puna.formats.chatml import CHATML, SMOLLM2
from puna.formats.jinja import Jinja
from puna.formats.llama2 import Llama2
from puna.generation import Segment
from puna.messages import Dialog, Message, Role

AUTO = "auto"
"""Recognise the format by the tags in the text."""

PLAIN = "plain"
"""Name of what is no prompt of any family: one user message."""

_LLAMA2: Format = Llama2()

# A prompt without system text could be of any ChatML family; where two are equally sure, the first here is taken.
# Mistral prompts are read as Llama 2: both write [INST] ... [/INST], and until Mistral is here it is the nearest.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {form.name: form for form in (_LLAMA2, CHATML, SMOLLM2)},
)
"""Every family that puna writes and reads, by name."""

_ENOUGH = 0.5
"""Confidence from which a text is a prompt of a family rather than words about one."""


def get(name: str) -> Format:
    """The format of that name.

    Raises:
        InputError: there is none; the known names are listed.
    """
    if name not in FORMATS:
        raise InputError(unknown("format", name, FORMATS))
    return FORMATS[name]


def parse(text: str, format: str = AUTO, *, own: str | None = None) -> Parsed:  # noqa: A002  # as it is typed
    """The dialog in a prompt. format: a name, ``plain``, or ``auto`` to recognise it.

    own: the format of the model that is to read it, which wins where the text could as well be of another family.

    Raises:
        InputError: there is no format of that name.
        DialogError: the text is not of the format that was named.
    """
    if format == AUTO:
        return _recognised(text, own)
    if format == PLAIN:
        return _plain(text, 1.0)
    if format not in FORMATS:
        raise InputError(unknown("format", format, (AUTO, PLAIN, *FORMATS)))
    return FORMATS[format].parse(text)


def of_template(
    template: str,
    bos_token: str | None = None,
    eos_token: str | None = None,
    *,
    control: Collection[str] = (),
    today: date | None = None,
) -> Format:
    """The family that a model's own template belongs to, told by what it writes; else the template itself.

    A format of the catalogue is taken only if it renders every probe as the template does, and refuses those that the
    template refuses. It is better than the template: it can also read, and it always knows content from control.

    Raises:
        DialogError: the template is not valid Jinja.
    """
    own = Jinja(template, bos_token, eos_token, control=control, today=today)
    for form in FORMATS.values():
        if all(_written(own, dialog, prompt) == _written(form, dialog, prompt) for dialog, prompt in _PROBES):
            return form
    return own


def _recognised(text: str, own: str | None) -> Parsed:
    best: Parsed | None = None
    for form in sorted(FORMATS.values(), key=lambda form: form.name != own):
        try:
            parsed = form.parse(text)
        except DialogError:
            continue
        if best is None or parsed.confidence > best.confidence:
            best = parsed
    if best is not None and best.confidence >= _ENOUGH:
        return best
    return _plain(text, 1.0 if best is None else 1.0 - best.confidence)


def _plain(text: str, confidence: float) -> Parsed:
    return Parsed(PLAIN, confidence, Dialog((Message(Role.USER, text),)))


def _written(form: Format, dialog: Dialog, generation_prompt: bool) -> str | None:
    try:
        segments: tuple[Segment, ...] = form.render(dialog, generation_prompt=generation_prompt)
    except DialogError:
        return None
    return "".join(segment.text for segment in segments)


def _probe(*turns: tuple[Role, str]) -> Dialog:
    return Dialog(tuple(Message(role, content) for role, content in turns))


_S, _U, _A = Role.SYSTEM, Role.USER, Role.ASSISTANT

# Dialogs on which families that look alike differ. None ends with an answer under a generation prompt, and none has a
# system message in the middle: Meta's own code refuses both, while the template of the same model writes the one and
# drops the other in silence, so they say nothing about the family.
_PROBES = (
    (_probe((_U, "Who are you?")), True),
    (_probe((_U, "Who are you?")), False),
    (_probe((_S, "Be brief."), (_U, "Hi")), True),
    (_probe((_S, "Be brief."), (_U, "Hi"), (_A, "Hello."), (_U, "Bye")), True),
    (_probe((_U, "Hi"), (_A, "Hello."), (_U, "Bye"), (_A, "So long.")), False),
    (_probe((_S, " Be\nbrief. \n"), (_U, "\n  Hi \n"), (_A, " Hello.\n "), (_U, "\t Bye\n")), True),
    (_probe((_U, " Hi\u3000"), (_A, "\n\nHello. "), (_U, " Bye")), True),
    (_probe((_S, ""), (_U, "Hi")), True),
    (_probe((_S, "Be brief."), (_U, "")), True),
    (_probe((_U, ""), (_A, ""), (_U, " ")), True),
    (_probe((_U, "One"), (_U, "Two")), True),
    (_probe((_A, "Welcome."), (_U, "Hi")), True),
    (_probe((_U, "<think>a</think>b"), (_A, "<think>c</think>d"), (_U, "e")), True),
)

"""Names to formats, and recognising a family: by the tags in a prompt, or by what a model's own template writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType

from puna.errors import DialogError, InputError, unknown
from puna.formats import deepseek, mistral
from puna.formats.base import Finding, Format, Parsed, Writer
from puna.formats.chatml import CHATML, QWEN25, SMOLLM2
from puna.formats.detect import Candidate, candidates, ranked
from puna.formats.gemma import GEMMA2, GEMMA3
from puna.formats.jinja import Jinja
from puna.formats.lenient import has_near_tags, mend, read
from puna.formats.llama2 import LLAMA2
from puna.formats.llama3 import LLAMA3, LLAMA31, LLAMA32, LLAMA33, Dated
from puna.formats.llama4 import LLAMA4
from puna.formats.phi import PHI3, PHI4_MINI, PHI35
from puna.formats.phi4 import PHI4, PHI4_FIXED
from puna.formats.slips import NOTE, WARNING
from puna.formats.vicuna import VICUNA
from puna.formats.zephyr import TINYLLAMA, ZEPHYR
from puna.messages import Dialog, Message, Role

AUTO = "auto"
"""Recognise the format by the tags in the text."""

PLAIN = "plain"
"""Name of what is no prompt of any family: one user message."""

# Of families that a text fits equally well, the first here is taken.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        form.name: form
        for form in (
            LLAMA2,
            LLAMA3,
            LLAMA31,
            LLAMA32,
            LLAMA33,
            LLAMA4,
            mistral.V1,
            mistral.V3,
            mistral.V3_TEKKEN,
            mistral.V7,
            mistral.V7_TEKKEN,
            mistral.OLD,
            CHATML,
            SMOLLM2,
            QWEN25,
            GEMMA2,
            GEMMA3,
            PHI3,
            PHI35,
            PHI4,
            PHI4_FIXED,
            PHI4_MINI,
            ZEPHYR,
            TINYLLAMA,
            VICUNA,
            deepseek.V2,
            deepseek.V3,
            deepseek.R1,
        )
    },
)
"""Every family that puna writes and reads, by name."""

_ENOUGH = 0.5
"""Confidence from which a text is a prompt of a family rather than words about one."""

_FITS = 1.5
"""Evidence from which a family is worth naming beside the one that was taken."""

_LONG, _TWINS = 50_000, 12
"""Characters from which the other families are not all tried in turn; how many are tried."""

_DOUBTFUL = {"blank-edges", "no-default-system", "no-standing-words"}
"""Notes with which a text is not what a family would have written: nobody begins or ends a message with whitespace."""

_SURE, _DOUBT = 0.9, 0.1
"""What a confidence above the one loses where another family fits as well."""


def get(name: str, on: date | None = None) -> Format:
    """The format of that name. on: the date that its prompts tell, where the family's prompts tell one.

    Raises:
        InputError: there is none; the known names are listed.
    """
    if name not in FORMATS:
        raise InputError(unknown("format", name, FORMATS))
    form = FORMATS[name]
    return form.on(on) if on is not None and isinstance(form, Dated) else form


def tells_todays_date(name: str) -> bool:
    """Whether the family's own template asks the clock; who renders it then has to hand in a date."""
    form = FORMATS.get(name)
    return isinstance(form, Dated) and form.clocked


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
    return read(FORMATS[format], text)


def of_template(
    template: str,
    bos_token: str | None = None,
    eos_token: str | None = None,
    *,
    control: Collection[str] = (),
    today: date | None = None,
) -> Writer:
    """The family that a model's own template belongs to, told by what it writes; else the template itself.

    A format of the catalogue is taken only if it renders every probe as the template does, and refuses those that the
    template refuses. It is better than the template: it can also read, and it always knows content from control.

    Raises:
        DialogError: the template is not valid Jinja.
    """
    own = Jinja(template, bos_token, eos_token, control=control, today=today)
    left = [get(name, today if tells_todays_date(name) else None) for name in FORMATS]
    # Probe by probe, so that a template of no family, which may be slow by intent, is asked once.
    for probe in _PROBES:
        text = _written(own, *probe)
        left = [form for form in left if _written(form, *probe) == text]
        if not left:
            return own
    return left[0]


def _recognised(text: str, own: str | None) -> Parsed:
    found = candidates(text, _ordered(own), LLAMA2.name)
    parsed = _best(text, found, own)
    # Where tags had to be made out, they are evidence too.
    if not found or not found[0].headed or (parsed is not None and has_near_tags(parsed)):
        again = _nearly(text, own)
        if again and again[0].headed:
            parsed = _best(text, again, own)
    if parsed is not None and parsed.confidence >= _ENOUGH:
        return parsed
    return _plain(text, 1.0 if parsed is None else 1.0 - parsed.confidence)


def _ordered(own: str | None) -> list[Format]:
    return sorted(FORMATS.values(), key=lambda form: form.name != own)


def _nearly(text: str, own: str | None) -> list[Candidate]:
    """The families that the text may be of, each asked with everything that is nearly a tag of its own made one."""
    if len(text) > _LONG:
        mended = mend(text, FORMATS.values())
        return candidates(mended.text, _ordered(own), LLAMA2.name) if mended.near else []
    asked = ((form, mend(text, (form,))) for form in _ordered(own))
    return ranked(
        candidate
        for form, mended in asked
        if mended.near
        for candidate in candidates(mended.text, FORMATS.values(), LLAMA2.name, only=form)
    )


def _best(text: str, found: list[Candidate], own: str | None) -> Parsed | None:
    for n, candidate in enumerate(found):
        # Llama 2 prompts are known with tags missing too; of the others, tags here and there are no prompt.
        if not candidate.headed and candidate.form is not LLAMA2:
            continue
        mine = FORMATS.get(own or "")
        form = mine if mine is not None and _are_kin(mine, candidate.form) else candidate.form
        try:
            parsed = read(form, text)
        except DialogError:
            continue
        others = [other for other in found[n + 1 :] if other.headed and other.form is not form]
        twin = None if candidate.decided or form is mine or not _is_amiss(parsed) else _twin(text, others, candidate)
        if twin is not None and form is not LLAMA2:
            form, parsed = twin
        elif twin is not None:
            parsed = replace(parsed, findings=tuple(map(_only_noted, parsed.findings)))
        also = () if candidate.decided else _also(candidate, form, found)
        # A prompt it is for sure; of which of them, is not.
        doubt = _DOUBT if also and parsed.confidence > _SURE else 0.0
        return replace(parsed, also=also, confidence=parsed.confidence - doubt)
    return None


def _also(candidate: Candidate, form: Format, found: list[Candidate]) -> tuple[str, ...]:
    """The other families that the text fits as well; Llama 2 is one of them also where only whitespace speaks against it."""
    names = []
    for other in found:
        as_well = other.evidence >= max(candidate.evidence, _FITS)
        as_well = as_well or (other.evidence >= candidate.evidence and _are_kin(other.form, form))
        as_well = as_well or (other.form is LLAMA2 and other.evidence >= 1)
        if other.headed and other.form is not form and as_well:
            names.append(other.form.name)
    return tuple(names)


def _is_amiss(parsed: Parsed) -> bool:
    return any(finding.severity != NOTE for finding in parsed.findings)


def _twin(text: str, others: list[Candidate], best: Candidate) -> tuple[Format, Parsed] | None:
    """The first of the other families that would write the text just so.

    With whitespace at the ends of messages it must have as much evidence: else these are the best one's slips.
    """
    for other in others[:_TWINS] if len(text) <= _LONG else ():
        try:
            parsed = read(other.form, text)
        except DialogError:
            continue
        equal = best.form is not LLAMA2 and other.evidence >= best.evidence
        doubtful = _DOUBTFUL - {"blank-edges"} if equal else _DOUBTFUL
        if not _is_amiss(parsed) and not {finding.code for finding in parsed.findings} & doubtful:
            return other.form, parsed
    return None


def _only_noted(finding: Finding) -> Finding:
    """A slip of Llama 2 that is none in another family, which writes the whole text so."""
    return replace(finding, severity=NOTE) if finding.severity == WARNING else finding


def _are_kin(one: Format, other: Format) -> bool:
    """Whether two formats differ in system texts only, so that a prompt of the one means the same to the other."""
    return one.tags == other.tags and one.seams.betweens == other.seams.betweens


def _plain(text: str, confidence: float) -> Parsed:
    return Parsed(PLAIN, confidence, Dialog((Message(Role.USER, text),)))


def _written(form: Writer, dialog: Dialog, generation_prompt: bool) -> str | None:
    try:
        return form.text(dialog, generation_prompt=generation_prompt)
    except DialogError:
        return None


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

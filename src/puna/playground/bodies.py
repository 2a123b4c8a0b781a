"""What the page asks for, read from JSON and checked: names, types and sizes. Knows the values of the vocabulary.

Unknown names are refused, so that nothing that a page sends is ignored in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from puna.context.grounding import Example, Grounding
from puna.dialog.prune import POLICIES
from puna.errors import InputError, unknown
from puna.generation import MAX_ALTERNATIVES, Sampling
from puna.messages import Dialog, Role, dialog_of
from puna.wire import reading

MAX_PANES = 4
MAX_EXAMPLES = 100
MAX_MESSAGES = 10_000
TOP = 10
"""Alternatives of each token, where a request does not say."""

TALK = frozenset({"system", "context", "examples", "only", "messages", "params", "policy", "begun", "prompt"})


@dataclass(frozen=True, slots=True)
class Given:
    """A token of an answer that was begun, and the text that it has on the page."""

    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Talk:
    """What shall be answered: a conversation and what stands before it, or the prompt's own text.

    given: names of the sampling parameters that were. begun: tokens of an answer to the last message.
    """

    sampling: Sampling
    given: frozenset[str]
    prompt: str | None = None
    grounding: Grounding = field(default_factory=Grounding)
    messages: Dialog = field(default_factory=Dialog)
    policy: str = "watermark"
    begun: tuple[Given, ...] = ()

    def with_params(self, params: object) -> Talk:
        """The same, sampled otherwise.

        Raises:
            SamplingError: they are no sampling parameters.
        """
        sampling, given = sampling_of(params)
        return replace(self, sampling=sampling, given=given)


def object_of(value: object, name: str, known: frozenset[str] | None = None) -> dict[str, object]:
    """A JSON object with no other names than the known ones.

    Raises:
        InputError: it is none, or has others.
    """
    if not isinstance(value, dict):
        raise InputError(f"{name} must be a JSON object, not {reading.kind(value)}")
    for key in value:
        if known is not None and key not in known:
            raise InputError(f"{name}: {unknown('name', key, known)}")
    return value


def talk_of(body: Mapping[str, object]) -> Talk:
    """The conversation of a request; other names of the body are not looked at.

    Raises:
        InputError: a value of another type than it must be, or too many of them.
    """
    sampling, given = sampling_of({} if body.get("params") is None else body["params"])
    if body.get("prompt") is not None:
        clash = sorted(name for name in TALK - {"prompt", "params"} if body.get(name))
        if clash:
            raise InputError(
                f"a raw prompt is all that the model gets, so {clash[0]} must not come with it; leave one out"
            )
        return Talk(sampling, given, prompt=_text(body, "prompt"))
    messages = dialog_of(_list(body, "messages", MAX_MESSAGES))
    for n, message in enumerate(messages):
        reading.check_text(f"messages[{n}].content", message.content)
    if any(message.role is Role.SYSTEM for message in messages):
        raise InputError('messages hold user and assistant turns only; the system message goes into "system"')
    policy = body.get("policy") or "watermark"
    if policy not in POLICIES:
        raise InputError(unknown("policy", policy, POLICIES))
    return Talk(sampling, given, None, _grounding(body), messages, str(policy), _begun(body, messages))


def sampling_of(params: object) -> tuple[Sampling, frozenset[str]]:
    """A sampling, and which of its parameters were given; null counts as not given.

    Raises:
        SamplingError: an unknown name, or a value out of its range.
    """
    named = {name: value for name, value in object_of(params, "params").items() if value is not None}
    return Sampling.of(named), frozenset(named)


def top_of(body: Mapping[str, object]) -> int:
    """How many alternatives of each token are wanted.

    Raises:
        InputError: not a whole number from 0 to 20.
    """
    top = body.get("top", TOP)
    if not isinstance(top, int) or isinstance(top, bool) or not 0 <= top <= MAX_ALTERNATIVES:
        raise InputError(f"top must be a whole number from 0 to {MAX_ALTERNATIVES}, not {str(top)[:80]}")
    return top


def panes_of(body: Mapping[str, object]) -> list[object]:
    """The settings that are compared, unread: each of them may be wrong by itself.

    Raises:
        InputError: fewer than 2 or more than 4.
    """
    panes = _list(body, "panes", MAX_PANES)
    if len(panes) < 2:
        raise InputError(f"a comparison needs 2 to {MAX_PANES} panes, not {len(panes)}; add another")
    return panes


def _grounding(body: Mapping[str, object]) -> Grounding:
    only = body.get("only") or False
    if not isinstance(only, bool):
        raise InputError(f"only must be true or false, not {reading.kind(only)}")
    examples = []
    for n, entry in enumerate(_list(body, "examples", MAX_EXAMPLES)):
        value = object_of(entry, f"examples[{n}]", frozenset({"question", "answer"}))
        examples.append(Example(_text(value, "question"), _text(value, "answer")))
    return Grounding(_text(body, "system"), _text(body, "context"), tuple(examples), only)


def _begun(body: Mapping[str, object], messages: Dialog) -> tuple[Given, ...]:
    entries = _list(body, "begun", 1_000_000)
    if entries and (not messages or messages[-1].role is not Role.USER):
        raise InputError(
            "begun is the beginning of an answer, so the last message must be the user's; leave one of them out"
        )
    return tuple(_given(n, entry) for n, entry in enumerate(entries))


def _given(n: int, entry: object) -> Given:
    if isinstance(entry, list) and len(entry) in {2, 3}:
        token, text = entry[:2]  # the third are its bytes, which the vocabulary knows
        if isinstance(token, int) and not isinstance(token, bool) and isinstance(text, str):
            return Given(token, text)
    raise InputError(
        f"begun[{n}] must be a token that the model made, [id, text], not {str(entry)[:80]}; where the engine tells no ids, "
        "send the answer as the last message"
    )


def _list(body: Mapping[str, object], name: str, most: int) -> list[object]:
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most:
        came = f"a list of {len(value)}" if isinstance(value, list) else reading.kind(value)
        raise InputError(f"{name} must be a list of at most {most}, not {came}")
    return value


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {reading.kind(value)}")
    reading.check_text(name, value)
    return value

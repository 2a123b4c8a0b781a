"""How likely a model holds a given text to be its answer, and which of several. Knows the spine and engines that can score.

The prompt is token by token what would be sent for an answer, so that a likelihood is the chance that sampling at temperature 1, without
cuts or penalties, begins the answer with exactly these tokens. The continuation's tokens are those it has behind the prompt in the
model's own format; where a tokenizer would join its first letter to the prompt's last token, it is encoded by itself instead, since the
prompt's last token stands already. Other tokens may spell the same text; their probability, mostly small, is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from puna.chat import Spine
from puna.engines.base import Begins, innermost
from puna.errors import ContextWindowError, EndpointError, InputError, unknown
from puna.experiments.plan import Continuation
from puna.experiments.rows import Likelihood
from puna.generation import Kind, Prompt, Segment
from puna.messages import Dialog, Message, Role
from puna.turn import Ask

TOP = 1
"""Alternatives of each token: the likeliest one tells what the model would rather have said."""


async def find(
    spine: Spine, ask: Ask, continuation: Continuation, cell: int = 0, *, top: int = TOP, most: int | None = None
) -> Likelihood:
    """How likely the model of the spine answers ``ask`` with the continuation. cell: the index that the likelihood is to carry.

    top: alternatives of each token. most: tokens of the continuation that are scored, from its first on; None for all.

    Raises:
        InputError: an empty continuation, one that does not fit the window, or an engine that cannot score, or does not tell its tokens.
        DialogError: as for an answer. EngineError: the engine failed.
    """
    if not continuation.text:
        raise InputError(f"the continuation {continuation.name!r} must have a text to be scored, but it is empty")
    ids, start = await (_there if spine.format is None else _here)(spine, ask, continuation.text)
    ids = ids[: None if most is None else start + most]
    if spine.info.context and len(ids) + 1 > spine.info.context:
        raise ContextWindowError(len(ids), 1, spine.info.context)
    scored = await spine.engine.score(ids, top, start)
    return Likelihood(cell, continuation.name, continuation.text, scored.known, continuation.group)


BY: Mapping[str, Callable[[Likelihood], float]] = MappingProxyType(
    {
        "sum": lambda found: found.logprob,
        "token": lambda found: found.logprob / max(1, len(found.tokens)),
        "character": lambda found: found.logprob / max(1, len(found.text)),
    }
)
"""How choices are compared: by their log-probability (which prefers short ones), or by that per token or per character."""


def chosen(likelihoods: Iterable[Likelihood], by: str = "sum") -> Likelihood:
    """The likeliest of the choices, the first of equals. by: ``sum``, ``token`` or ``character``.

    Raises:
        InputError: no choices, or another ``by``.
    """
    if by not in BY:
        raise InputError(unknown("way to compare choices", by, BY))
    choices = list(likelihoods)
    if not choices:
        raise InputError("the likeliest choice needs at least one continuation to choose from, not none")
    return max(choices, key=BY[by])


async def _here(spine: Spine, ask: Ask, text: str) -> tuple[tuple[int, ...], int]:
    """The ids of the prompt and the continuation behind it, and how many are the prompt's."""
    prompt = await spine.encoded(ask)
    return prompt.ids + await _tokens(spine, ask, prompt, text), len(prompt.ids)


async def _there(spine: Spine, ask: Ask, text: str) -> tuple[tuple[int, ...], int]:
    """The same by a server that takes messages and tells their tokens."""
    server = innermost(spine.engine)
    if not isinstance(server, Begins) or not isinstance(ask.prompt, Dialog) or ask.begun is not None:
        raise InputError(
            "how likely a continuation is can only be told where the model is, or by a server that tells what tokens it makes of messages, "
            "and this target is neither; use a target with a model of its own (`model`), or leave out the continuations"
        )
    prompt = await spine.encoded(ask)
    ids = (await server.begun(Dialog((*ask.prompt, Message(Role.ASSISTANT, text))))).ids
    if not _follows(ids, prompt.ids):
        raise EndpointError(f"{spine.info.build} must write an answer behind its prompt, but the tokens of both differ")
    return ids, len(prompt.ids)


async def _tokens(spine: Spine, ask: Ask, prompt: Prompt, text: str) -> tuple[int, ...]:
    """The continuation's tokens behind the prompt's, shape (n,)."""
    answer = Segment(Kind.CONTENT, text, Role.ASSISTANT)
    begun = _begun(ask, prompt, text)
    if begun is not None:
        whole = await spine.encoded(begun)
        if whole.text.endswith(text) and _follows(whole.ids, prompt.ids):
            return whole.ids[len(prompt.ids) :]
    if prompt.segments:
        ids = await spine.engine.encode((*prompt.segments, answer))
        if _follows(ids, prompt.ids):
            return ids[len(prompt.ids) :]
    return await spine.engine.encode((answer,))


def _begun(ask: Ask, prompt: Prompt, text: str) -> Ask | None:
    """The same request with the continuation as the begun answer of its dialog; None where there is no dialog, or more behind it."""
    if prompt.dialog is None or ask.begun is not None:
        return None
    messages = tuple(prompt.dialog)
    if messages and messages[-1].role is Role.ASSISTANT:
        messages, last = messages[:-1], messages[-1]
        text = last.content + text
    answered = Dialog((*messages, Message(Role.ASSISTANT, text)))
    return replace(ask, prompt=answered, continues=True, raw=False)


def _follows(ids: tuple[int, ...], prompt: tuple[int, ...]) -> bool:
    return len(ids) > len(prompt) and ids[: len(prompt)] == prompt

"""Which dialect a container speaks: found out by one cheap request, whose answer tells by its shape. Knows dialects, no connection.

A container that takes any JSON object and passes over what it does not know would answer in its own shape all the same; that shape counts, not
that it answered. Where nothing limits the answer to the one token that was asked for, that is found out too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from puna.engines.aws_refusals import ContainerRefusedError
from puna.errors import EndpointError
from puna.generation import Sampling
from puna.messages import Dialog, Role
from puna.wire.answer import Answer
from puna.wire.dialect import Dialect, Request
from puna.wire.dialects import DIALECTS, HEARS

TRIED = ("chat", "tgi", "hf", "workshop", "completion")
"""In this order: the first that is answered costs one token, and each refusal before it none."""

PROBE = "1 2 3"
"""The prompt: a container that repeats prompts is found out by it."""

SHORT = 40
"""Characters that one token has at most, for the purpose here; whole words of many languages have fewer."""

Ask = Callable[[Dialect, Request], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Detected:
    """dialect: what it speaks. limits: whether it minds the longest answer that is asked for. repeats: it gives the prompt back before the answer."""

    dialect: Dialect
    limits: bool = True
    repeats: bool = False


async def detect(ask: Ask, url: str) -> Detected:
    """Ask in one dialect after the other until one is answered.

    ask: sends a request and gives the body of the answer; ContainerRefusedError where the container refuses.

    Raises:
        RefusedError: for a reason that is none of the dialect's, such as credentials. EndpointError: no known dialect is understood.
    """
    reasons: list[str] = []
    for name in TRIED:
        try:
            body = await ask(DIALECTS[name], _request(DIALECTS[name]))
        except ContainerRefusedError as error:
            _only_dialect(error)
            reasons.append(f"{name}: {error}")
            continue
        found = _read(body)
        if found.dialect is not DIALECTS[name] and not found.limits:
            found = _read(await ask(found.dialect, _request(found.dialect)))
        return found
    raise EndpointError(
        f"{url} refuses one token in every dialect that was tried; name the one that it speaks ({', '.join(DIALECTS)}), or see its log. "
        + " | ".join(reason[:300] for reason in reasons)
    )


def _request(dialect: Dialect) -> Request:
    prompt = Dialog().append(Role.USER, PROBE) if dialect.messages and dialect.name != "workshop" else PROBE
    return Request((prompt,), Sampling(temperature=0, max_tokens=1), frozenset({"max_tokens", "temperature"}))


def _only_dialect(error: ContainerRefusedError) -> None:
    """Raise what another dialect would not mend: the time at which it is asked; a licence, which is the user's to accept."""
    if error.status in {408, 429, 502, 503, 504} or "accept_eula" in str(error):
        raise error


def _read(body: bytes) -> Detected:
    seen: list[Any] = []

    def note(value: object) -> None:
        seen.append(value)

    answer = Answer([note, *HEARS])
    for _ in (*answer.feed(body), *answer.close()):
        pass
    if not seen:
        raise EndpointError("the container answered with nothing when it was asked for one token; name its dialect")
    text = answer.text.lstrip()
    repeats = text.startswith(PROBE)
    return Detected(_shaped(seen[0]), len(text.removeprefix(PROBE)) <= SHORT, repeats)


def _shaped(value: Any) -> Dialect:
    """The dialect of a record or of a whole answer, of those that differ for a client."""
    listed = isinstance(value, list)
    first = value[0] if listed else value
    if "outputs" in first:
        name = "workshop"
    elif "choices" in first:
        chosen = first["choices"][0] if first["choices"] else {}
        name = "completion" if "text" in chosen else "chat"
    elif "generation" in first:
        name = "jumpstart"
    elif "token" in first:
        name = "lmi" if "log_prob" in first["token"] else "tgi"
    elif listed:
        name = "tgi" if (first.get("details") or {}).get("tokens") is not None else "hf"
    else:
        name = "lmi"
    return DIALECTS[name]

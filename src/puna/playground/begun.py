"""An answer that was begun: from the tokens that a page kept to the very ids of the model. Knows a vocabulary, no engine."""

from __future__ import annotations

from collections.abc import Sequence

from puna.errors import InputError
from puna.playground.bodies import Given
from puna.server.answers import Speaker
from puna.turn import Ask, Begun


async def begun_of(given: Sequence[Given], speaker: Speaker) -> Begun | None:
    """The answer's tokens, exactly those that the model had made; None of no token.

    Raises:
        InputError: a token that does not spell its text, that is not of the vocabulary, or after which no answer can go on; or
            a character of which the engine has not told all tokens, and which could be made of others.
    """
    if not given:
        return None
    if speaker.writes is None:
        raise InputError(
            "an answer can only be continued where the prompt is written out, and this endpoint's engine takes whole messages; "
            "regenerate it, or edit the message before it"
        )
    spelled = dict(zip((t.id for t in given), await speaker.spelled([t.id for t in given]), strict=True))
    _check_plain(spelled, speaker.info.control)
    ids: list[int] = []
    part = b""  # of a character whose last token is still to come
    for token in given:
        part += spelled[token.id]
        if token.text:
            ids.extend(await _untold(token, part, speaker))
            part = b""
        ids.append(token.id)
    return Begun("".join(token.text for token in given), tuple(ids))


async def _untold(token: Given, own: bytes, speaker: Speaker) -> list[int]:
    """The first tokens of a character of which the engine has told only the last (llama.cpp does so); mostly none."""
    whole = token.text.encode()
    if own.removeprefix(b" ") == whole.removeprefix(b" "):  # a vocabulary may put a space before the first word
        return []
    if not own or not whole.endswith(own):
        raise InputError(f"the token {token.id} does not spell {token.text!r:.80}; send the tokens as they came")
    likely = (await speaker.encoded(Ask(token.text, raw=True))).ids
    ids: list[int] = []
    found = b""
    for one, data in zip(reversed(likely), reversed(await speaker.spelled(likely)), strict=True):
        if len(found) < len(whole):
            ids.insert(0, one)
            found = data + found
    if found != whole or ids[-1] != token.id:
        raise InputError(
            f"which tokens made {token.text!r:.80} is not known exactly, only that {token.id} was the last; go on from before it"
        )
    return ids[:-1]


def _check_plain(spelled: dict[int, bytes], control: frozenset[str]) -> None:
    for data in spelled.values():
        if (text := data.decode("utf-8", "replace")) in control:
            raise InputError(f"{text} ends a turn or begins one, so no answer can go on after it; choose another token")

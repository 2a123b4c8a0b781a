"""How long an answer may become before it is one that never ends. Knows pieces and the tokens that were asked for; no server."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from puna.errors import EndpointError
from puna.generation import Delta

_CHARACTERS = 128
"""Of one token: the longest in vocabularies are runs of so many spaces."""

_PIECES = 16
"""Of one token: gateways that play a stream send a character at a time."""

_SLACK_CHARACTERS, _SLACK_PIECES = 2**16, 2**10
"""What any answer may have beyond its tokens."""

_ANY_TOKENS = 2**24
"""Characters of an answer for which no length was asked."""


async def bounded(url: str, deltas: AsyncGenerator[Delta, None], max_tokens: int | None) -> AsyncGenerator[Delta, None]:
    """The same pieces, of an answer that ends some time; ``deltas`` is closed with this iterator. max_tokens: None for no length.

    Raises:
        EndpointError: there is far more of it than so many tokens can be.
    """
    most = _ANY_TOKENS if max_tokens is None else max_tokens * _CHARACTERS + _SLACK_CHARACTERS
    pieces = _ANY_TOKENS if max_tokens is None else max_tokens * _PIECES + _SLACK_PIECES
    length = count = 0
    async with aclosing(deltas):
        async for delta in deltas:
            length, count = length + len(delta.text), count + 1
            if length > most or count > pieces:
                raise EndpointError(
                    f"{url} goes on and on: {length} characters have come in {count} pieces, far more than the "
                    f"{'tokens of any answer' if max_tokens is None else f'{max_tokens} tokens that were asked for'}; does it mind the longest "
                    "answer, and is it the server, or the dialect, that was meant?"
                )
            yield delta

"""Token ids become text as they come, and never half a character. Knows UTF-8, not how a vocabulary spells it."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from puna.tokens.base import Tokenizer


class Decoder:
    """Text of one answer, id by id. What is no UTF-8 becomes U+FFFD, as ``bytes.decode(errors="replace")`` does it.

    Where the vocabulary puts a space before the first word of a text, the space with which the answer starts is that
    one, and is not part of it.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        # Asked rather than declared, so that it holds for every kind of vocabulary and cannot contradict it.
        self._drops_space = b"".join(map(tokenizer.bytes_of, tokenizer.encode("a"))) == b" a"

    def push(self, token: int) -> str:
        """The text that is certain now; empty for a control token, and where a character is still incomplete."""
        data = self._tokenizer.bytes_of(token)
        if data and self._drops_space:
            data = data.removeprefix(b" ")
            self._drops_space = False
        return self._utf8.decode(data)

    def finish(self) -> str:
        """What is left when no id follows: nothing, or U+FFFD for the beginning of a character. The decoder is done."""
        return self._utf8.decode(b"", final=True)


def decode(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    """The text of whole ids."""
    decoder = Decoder(tokenizer)
    return "".join([*map(decoder.push, ids), decoder.finish()])

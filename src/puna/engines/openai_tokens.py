"""The vocabulary of a server, by its own tokenize route: no text in a message comes to a control token. Knows requests; blocks.

``mixed`` is llama.cpp's: a list of texts and ids in one request, and control tokens are found in texts only where that is asked for. vLLM's
takes ``one`` text and SGLang's ``several``, and both always find them; so a text is cut inside everything that the vocabulary keeps as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from puna.errors import EndpointError, InputError
from puna.generation import Segment
from puna.tokens.base import is_turn_token, no_such_id, parted, runs
from puna.tokens.markers import KNOWN, is_marker, looking_like

MIXED, ONE, SEVERAL = "mixed", "one", "several"

MOST_ASKED = 64
"""Stretches of one prompt that look like control tokens and are asked for; more are taken for some."""

Post = Callable[[str, Mapping[str, object]], Any]
"""Sends JSON to a path of the server and gives the JSON of its answer; raises EngineError."""


class ServerVocabulary:
    """A ``Tokenizer``. control: by text. matched: those that are found in any text, asked for or not. spelled: every token's bytes, if known.

    special: whether the route finds control tokens in every text, so that more of them may turn up.
    """

    def __init__(
        self,
        post: Post,
        route: str,
        model: str,
        control: Mapping[str, int],
        *,
        matched: frozenset[str] = frozenset(),
        spelled: Sequence[bytes] | None = None,
    ) -> None:
        self._post = post
        self._route = route
        self._model = model
        self._control = dict(control)
        self._matched = matched
        self._spelled = spelled
        self._plain: set[str] = set()
        self._known: dict[int, bytes] = {}

    @property
    def control(self) -> Mapping[str, int]:
        """Control tokens by their text."""
        return self._control

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, shape (n,)."""
        return list(self.prompt_runs([text]))

    def prompt(self, segments: Iterable[Segment]) -> tuple[int, ...]:
        """Ids of a rendered prompt, shape (n,), in as few requests as the route allows."""
        found = runs(segments, self._control)
        return self.prompt_runs([run if isinstance(run, str) else self._control[run.text] for run in found])

    def prompt_runs(self, found: Sequence[str | int]) -> tuple[int, ...]:
        """Ids of texts, and of control tokens between them."""
        if self._route != MIXED:
            self._learn([run for run in found if isinstance(run, str)])
        cut_inside = self._matched if self._route == MIXED else self._control.keys()
        pieces: list[str | int] = []
        for run in found:
            pieces += [run] if isinstance(run, int) else parted(run, frozenset(cut_inside))
        if self._route == MIXED:
            return tuple(self._mixed(pieces)) if pieces else ()
        encoded = iter(self._texts([piece for piece in pieces if isinstance(piece, str)]))
        ids: list[int] = []
        for piece in pieces:
            ids += [piece] if isinstance(piece, int) else next(encoded)
        return tuple(ids)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The text of each id."""
        by_id = {number: text for text, number in self._control.items()}
        return [by_id.get(token) or self.bytes_of(token).decode("utf-8", "replace") for token in ids]

    def bytes_of(self, token: int) -> bytes:
        """What an id adds to the text; of vLLM and SGLang as they decode it alone, without a part of a character."""
        if token in self._control.values():
            return b""
        if self._spelled is not None:
            if not 0 <= token < len(self._spelled):
                raise no_such_id(token, len(self._spelled))
            return self._spelled[token]
        if token not in self._known:
            self._known[token] = self._decoded(token)
        return self._known[token]

    def _mixed(self, pieces: Sequence[str | int]) -> list[int]:
        body = {"content": list(pieces), "add_special": False, "parse_special": False}
        return _ids(self._post("tokenize", body))

    def _texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each; none of them a control token's."""
        found = self._ask(texts)
        forged = frozenset(self._control.values())
        for text, ids in zip(texts, found, strict=True):
            if not forged.isdisjoint(ids):
                raise InputError(
                    f"a message must be plain text, but the server takes {text[:80]!r} for one of its control tokens; write it otherwise"
                )
        return found

    def _ask(self, texts: Sequence[str]) -> list[list[int]]:
        if self._route == SEVERAL:
            body = {"model": self._model, "prompt": list(texts), "add_special_tokens": False}
            return [_numbers(ids) for ids in _list(self._post("v1/tokenize", body))] if texts else []
        one = {"model": self._model, "add_special_tokens": False}
        return [_ids(self._post("tokenize", {**one, "prompt": text})) if text else [] for text in texts]

    def _learn(self, texts: Sequence[str]) -> None:
        """Find out which of the stretches that look like control tokens are some."""
        wanted = {look: None for text in texts for look in looking_like(text)}
        new = [look for look in wanted if look not in self._control and look not in self._plain]
        for look, ids in zip(new[:MOST_ASKED], self._ask(new[:MOST_ASKED]), strict=True):
            if len(ids) == 1:
                self._control[look] = ids[0]
            else:
                self._plain.add(look)
        for n, look in enumerate(new[MOST_ASKED:], 1):  # no id is below 0: it is cut inside, and never written
            self._control[look] = -n

    def _decoded(self, token: int) -> bytes:
        path, name = ("v1/detokenize", "text") if self._route == SEVERAL else ("detokenize", "prompt")
        said = self._post(path, {"model": self._model, "tokens": [token]})
        if not isinstance(said, dict) or not isinstance(said.get(name), str):
            raise EndpointError(f"a server of this kind must tell a token's text as {name!r}, not {said!r:.100}")
        return str(said[name]).encode()


def listed(post: Post, size: int, bos: str | None) -> tuple[dict[str, int], frozenset[str], list[bytes]]:
    """Of llama.cpp: control tokens by text, those that are found in any text, and every token's bytes. size: of the vocabulary.

    bos: the text of a control token, which no text comes to, to stand between texts.
    """
    said = post("tokenize", {"content": list(range(size)), "with_pieces": True})
    spelled = [_piece(entry["piece"]) for entry in said["tokens"]]
    if len(spelled) != size:
        raise EndpointError(f"a vocabulary of {size} tokens must be told whole, but {len(spelled)} tokens came")
    texts = {data.decode("utf-8", "replace"): n for n, data in enumerate(spelled)}
    looks = {text: n for text, n in texts.items() if is_marker(text) or text in KNOWN or text == bos}
    between = texts.get(bos or "")
    found = _alone(post, looks, between)
    control = {text: n for text, n in looks.items() if found.get(text) != [n] or is_turn_token(text)}
    matched = frozenset(text for text in control if found.get(text) == [looks[text]])
    return control, matched, [b"" if n in set(control.values()) else data for n, data in enumerate(spelled)]


def _alone(post: Post, looks: Mapping[str, int], between: int | None) -> dict[str, list[int]]:
    """The ids that each text comes to where no control tokens are asked for."""
    if between is None:
        asked = {"add_special": False, "parse_special": False}
        return {text: _ids(post("tokenize", {"content": text, **asked})) for text in looks}
    content: list[str | int] = []
    for text in looks:
        content += [text, between]
    ids = _ids(post("tokenize", {"content": content, "add_special": False, "parse_special": False}))
    parts: list[list[int]] = [[]]
    for number in ids:
        if number == between:
            parts.append([])
        else:
            parts[-1].append(number)
    if len(parts) != len(looks) + 1:  # the separator is found in any text: everything may be
        return {text: [n] for text, n in looks.items()}
    return dict(zip(looks, parts, strict=False))


def named(post: Post, route: str, model: str) -> dict[str, int]:
    """Of vLLM and SGLang: those of the known control tokens that the vocabulary has, by text."""
    if route == SEVERAL:
        said = post("v1/tokenize", {"model": model, "prompt": list(KNOWN), "add_special_tokens": False})
        found = zip(KNOWN, map(_numbers, _list(said)), strict=True)
        return {text: ids[0] for text, ids in found if len(ids) == 1}
    body = {"model": model, "prompt": "\n".join(KNOWN), "add_special_tokens": False, "return_token_strs": True}
    said = post("tokenize", body)
    texts = said.get("token_strs") if isinstance(said, dict) else None
    if not isinstance(texts, list):
        raise EndpointError("a server of this kind must tell token_strs")
    return {text: number for text, number in zip(texts, _ids(said), strict=True) if text in KNOWN}


def starting(post: Post, route: str, model: str, control: Mapping[str, int]) -> str | None:
    """Text of the token that the server puts before a text by itself, where it does and the token is known."""
    if route == MIXED:
        with_it = _ids(post("tokenize", {"content": "a", "add_special": True, "parse_special": True}))
    else:
        path = "v1/tokenize" if route == SEVERAL else "tokenize"
        with_it = _ids(post(path, {"model": model, "prompt": "a", "add_special_tokens": True}))
    return next((text for text, number in control.items() if with_it[:1] == [number]), None)


def _piece(told: object) -> bytes:
    """llama.cpp tells what is no whole character as a list of bytes."""
    return told.encode() if isinstance(told, str) else bytes(told)  # type: ignore[call-overload]  # a list of numbers, or the caller's try finds out


def _list(said: object) -> list[Any]:
    found = said.get("tokens") if isinstance(said, dict) else None
    if not isinstance(found, list):
        raise EndpointError(f"a tokenize route must answer with tokens, not with {said!r:.100}")
    return found


def _ids(said: object) -> list[int]:
    return _numbers(_list(said))


def _numbers(found: object) -> list[int]:
    if not isinstance(found, list) or not all(isinstance(n, int) and not isinstance(n, bool) for n in found):
        raise EndpointError(f"a tokenize route must answer with token ids, not with {found!r:.100}")
    return found

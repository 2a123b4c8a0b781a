"""The prompt that a server makes of messages, where it tells: puna's own, vLLM, llama.cpp. Knows their routes; blocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from puna.engines.openai_found import Asking, Found
from puna.errors import EndpointError, InputError
from puna.generation import Kind, Prompt, Segment
from puna.messages import Dialog, Message, Role
from puna.wire.chunks import data_of

KEPT = 1024
"""Dialogs whose count is remembered: a policy and a budget ask for the same ones again and again."""


def told(asking: Asking, found: Found, dialog: Dialog, *, begun: bool = False) -> Prompt:
    """The exact prompt with its ids. begun: the last message is an answer that has begun.

    Raises:
        InputError: the server does not tell. EngineError: it refused, or said something else.
    """
    if begun and found.server.name not in _CONTINUE:
        raise InputError(f"{asking.root} ({found.server.name}) does not tell the prompt of an answer that has begun")
    try:
        text, ids = _WAYS[found.server.name](asking, found, dialog, _CONTINUE[found.server.name] if begun else {})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise EndpointError(
            f"{asking.root} must tell the prompt of messages as {found.server.name} does, but said something else"
        ) from None
    return Prompt((Segment(Kind.CONTROL, text),), ids, dialog)


More = Mapping[str, object]
"""What else is asked for."""


def _puna(asking: Asking, found: Found, dialog: Dialog, more: More) -> tuple[str, tuple[int, ...]]:
    body = {"model": found.model, "messages": dialog.as_json(), "return_token_strs": True, **more}
    said: Any = asking.post("tokenize", body)
    return b"".join(map(data_of, said["token_strs"])).decode("utf-8", "replace"), tuple(said["tokens"])


def _vllm(asking: Asking, found: Found, dialog: Dialog, more: More) -> tuple[str, tuple[int, ...]]:
    said: Any = asking.post("tokenize", {"model": found.model, "messages": dialog.as_json(), **more})
    text: Any = asking.post("detokenize", {"model": found.model, "tokens": said["tokens"]})
    return str(text["prompt"]), tuple(said["tokens"])


def _llama_cpp(asking: Asking, found: Found, dialog: Dialog, more: More) -> tuple[str, tuple[int, ...]]:
    del found, more
    text = str(asking.post("apply-template", {"messages": dialog.as_json()})["prompt"])
    said: Any = asking.post("tokenize", {"content": text, "add_special": True, "parse_special": True})
    return text, tuple(said["tokens"])


_WAYS = {"puna": _puna, "vLLM": _vllm, "llama.cpp": _llama_cpp}

_CONTINUE: Mapping[str, More] = {
    "puna": {"continue_final_message": True},
    "vLLM": {"continue_final_message": True, "add_generation_prompt": False},
}
"""How a server is told that the last message is an answer that has begun."""


class MessageCounter:
    """Counts prompts by asking the server, as ``puna.dialog.budget.Counter`` has it."""

    def __init__(self, asking: Asking, found: Found) -> None:
        self._asking = asking
        self._found = found
        self._known: OrderedDict[Dialog, int] = OrderedDict()

    def prompt(self, dialog: Dialog) -> int:
        """Tokens of the prompt that asks for an answer to this dialog; raises as ``told``, and InputError where it is refused."""
        if dialog not in self._known:
            self._known[dialog] = len(told(self._asking, self._found, dialog).ids)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return self._known[dialog]

    def costs(self, dialog: Dialog) -> tuple[int, ...]:
        """Tokens that each message adds, shape (len(dialog),): exact for what lies between two questions, shared by length in it.

        A prompt that ends with a user message is what every format allows, so those are counted. Where the dialog begins with a system
        message, so does the empty one that it is compared with: a format may have a system sentence of its own, which is no cost then.
        """
        if not dialog:
            return ()
        first = tuple(replace(message, content="") for message in dialog[:1] if message.role is Role.SYSTEM)
        before, start = self.prompt(Dialog((*first, Message(Role.USER, "")))), 0
        costs: list[int] = []
        ends = [n + 1 for n, message in enumerate(dialog) if message.role is Role.USER]
        for end in ends if ends and ends[-1] == len(dialog) else [*ends, len(dialog)]:
            after = self.prompt(Dialog(dialog.messages[:end]))
            costs += _shared(max(0, after - before), [len(message.content) for message in dialog[start:end]])
            before, start = after, end
        return tuple(costs)


def _shared(tokens: int, sizes: list[int]) -> list[int]:
    """So many tokens, in proportion to the sizes; all of them."""
    whole, given, shares, so_far = sum(sizes), 0, [], 0
    for n, size in enumerate(sizes, 1):
        so_far += size
        upto = round(tokens * so_far / whole) if whole else tokens * n // len(sizes)
        shares.append(upto - given)
        given = upto
    return shares


def refuse(found: Found, url: str) -> InputError:
    """Where the server does not tell."""
    return InputError(
        f"{url} ({found.server.name}) takes messages and does not tell what prompt it makes of them; ask a server that does"
    )

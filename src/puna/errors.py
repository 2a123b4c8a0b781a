"""The one tree of errors. Knows sentences, HTTP status and AWS error codes; nothing of who raises them.

Every message says what was expected, what came and what to do. ``status`` and ``code`` are hints by which the
server answers without knowing the layer that failed (the idea of h11's ``error_status_hint``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


class PunaError(Exception):
    """Anything puna refuses or fails at. ``str()`` of it is the sentence that the user sees."""

    status = 500
    code = "InternalFailure"


class InputError(PunaError):
    """What the caller gave cannot be taken as it is (CLI exit status 2, HTTP 400)."""

    status = 400
    code = "ValidationError"


class SamplingError(InputError):
    """A sampling parameter is unknown, of the wrong type or out of range."""


class DialogError(InputError):
    """A dialog that its format cannot express, or text that is no dialog."""


class ContextWindowError(InputError):
    """Prompt and requested output together exceed the context window. Counts are tokens."""

    def __init__(self, prompt_tokens: int, max_tokens: int, context: int) -> None:
        self.prompt_tokens = prompt_tokens
        self.max_tokens = max_tokens
        self.context = context
        room = context - prompt_tokens
        mend = (
            f"ask for at most {room} tokens or shorten the prompt"
            if room > 0
            else "shorten the prompt, or serve the model with a larger --context"
        )
        asked = f" and {max_tokens} more were asked for: together {prompt_tokens + max_tokens}" if max_tokens else ""
        leaves = "" if max_tokens else " and an answer needs one more"
        super().__init__(
            f"the prompt has {prompt_tokens} tokens{asked}, but the context window holds {context}{leaves}; {mend}"
        )


class NoRoomError(ContextWindowError):
    """What must stay of a dialog exceeds the window with the reserve. parts: tokens by name; their sum is the prompt.

    ways: what the caller can do about it, the likeliest first.
    """

    def __init__(self, parts: Mapping[str, int], reserve: int, context: int, ways: Iterable[str]) -> None:
        super().__init__(sum(parts.values()), reserve, context)
        self.parts = dict(parts)
        told = ", ".join(f"{name} {tokens}" for name, tokens in self.parts.items() if tokens)
        sentence = (
            f"the prompt has {self.prompt_tokens} tokens ({told}) and {reserve} are reserved for the answer: together "
            f"{self.prompt_tokens + reserve}, but the context window holds {context}; {', or '.join(ways)}"
        )
        self.args = (sentence,)


class ModelFileError(InputError):
    """A model file is missing, damaged, too large for this machine or not a model."""


class EngineError(PunaError):
    """The engine failed, stopped or answered nonsense (CLI exit status 3).

    partial: what had come of an answer that broke off; None where none had begun, so that asking again repeats nothing.
    """

    partial: str | None = None


class EngineBusyError(EngineError):
    """Every slot is taken and the queue is full; the same request may succeed later."""

    status = 429
    code = "ThrottlingException"


class EngineLoadingError(EngineError):
    """The model is being loaded, for the first time or again after its process ended."""

    status = 429
    code = "ModelNotReadyException"


class EngineStoppedError(EngineError):
    """The engine is not running (any more)."""

    status = 503
    code = "ServiceUnavailable"


class EndpointError(EngineError):
    """A remote endpoint answered with an error or could not be reached."""


class RefusedError(EndpointError):
    """A remote endpoint answered that it will not.

    status: of its answer, 400 to 599. retry_after: seconds after which it wants to be asked again, None where it does not say.
    """

    def __init__(self, sentence: str, status: int, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(sentence)


class UnreachableError(EndpointError):
    """No answer came from a remote endpoint, not even its beginning."""


def unknown(kind: str, given: object, known: Iterable[str]) -> str:
    """A sentence that refuses an unknown name, suggests the nearest known one and lists them all."""
    names = sorted(map(str, known))
    shown = str(given)[:80]
    near = difflib.get_close_matches(shown, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {shown!r}.{hint} Known: {', '.join(names)}"

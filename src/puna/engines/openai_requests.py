"""What is asked of a server of the OpenAI API: path and body, every parameter by the name that the server has for it. Knows no connection."""

from __future__ import annotations

from collections.abc import Mapping

from puna.engines import completion
from puna.engines.openai_found import Found
from puna.engines.openai_servers import LLAMA_CPP, SGLANG, VLLM
from puna.errors import InputError, RefusedError
from puna.generation import Extras, Prompt, Sampling
from puna.tokens.markers import ENDS

OFF: Mapping[str, object] = {
    "top_p": 1,
    "top_k": 0,
    "min_p": 0,
    "repetition_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "stream_options": {"include_usage": True},
}
"""Fields that need not be sent to a server that refuses them, where they have this value. Left out at once they would be what the
server has for a default: llama.cpp cuts at min_p 0.05 then."""

_NEWER = {"max_tokens": "max_completion_tokens"}
"""What OpenAI's own newer models want a field to be called."""

_FAR_BACK = 2**20


def request(found: Found, prompt: Prompt, sampling: Sampling, extras: Extras) -> tuple[str, dict[str, object]]:
    """Path below the API's address, and body; every parameter is told, for servers have defaults of their own.

    Raises:
        InputError: log-probabilities or a schema, which the server has not, or not through this client.
    """
    if extras.schema is not None:
        raise InputError(
            f"a JSON schema cannot be asked of a {found.server.name} server through this client; ask without"
        )
    if extras.logprobs is not None and found.logprobs is False:
        raise InputError(f"a {found.server.name} server tells no log-probabilities; ask without")
    body: dict[str, object] = {
        "model": found.model,
        **_sampling(found, prompt, sampling, extras),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    top = extras.logprobs
    if prompt.ids or prompt.segments or prompt.dialog is None:
        body |= {"prompt": list(prompt.ids) if prompt.ids else prompt.text}
        return "completions", body | ({} if top is None else {"logprobs": top})
    body |= {"messages": prompt.dialog.as_json()} | ({} if top is None else {"logprobs": True})
    return "chat/completions", body | ({"top_logprobs": top} if top else {})


def _sampling(found: Found, prompt: Prompt, sampling: Sampling, extras: Extras) -> dict[str, object]:
    server = found.server
    told = {name: value for name, value in sampling.as_json().items() if value not in (None, [])}
    if extras.open_end:
        told.pop("max_tokens")
    named = {server.names[name]: value for name, value in told.items() if name in server.names}
    if server is LLAMA_CPP:
        # Its own order of samplers puts the temperature last, and its penalties look back at 64 tokens: as the embedded engine is asked.
        own = completion.request(prompt, sampling)
        named |= {name: own[name] for name in ("samplers", "top_k", "repeat_last_n") if name in own}
        if "repeat_last_n" in own and not prompt.ids:
            named["repeat_last_n"] = found.context or _FAR_BACK
    if server is SGLANG and sampling.top_k == 0:
        named["top_k"] = -1  # its word for off; it refuses 0
    if server in (VLLM, SGLANG) and prompt.ids and found.tokens is not None:
        # They stop at the model's EOS only, and show no control token in which a stop text could be found.
        ends = sorted(n for text, n in found.tokens.control.items() if text in ENDS)
        named |= {"stop_token_ids": ends} if ends else {}
    return named


class Refused:
    """What a server was found to refuse by name, for the requests after the one that showed it."""

    def __init__(self) -> None:
        self._gone: set[str] = set()
        self._renamed: set[str] = set()

    def known(self, body: Mapping[str, object]) -> dict[str, object]:
        """A body without the fields that are refused and are off, and with the names that the server wants."""
        kept = {name: value for name, value in body.items() if not (name in self._gone and value == OFF[name])}
        return {_NEWER[name] if name in self._renamed else name: value for name, value in kept.items()}

    def without(self, body: Mapping[str, object], refusal: RefusedError) -> dict[str, object]:
        """A body that may be taken after this refusal; raises it where there is none."""
        said = str(refusal) if refusal.status in (400, 422) else ""
        unwelcome = {name for name, off in OFF.items() if name in said and body.get(name) == off}
        renamed = {old for old, new in _NEWER.items() if new in said and old in body}
        if not unwelcome and not renamed:
            raise refusal
        self._gone |= unwelcome
        self._renamed |= renamed
        return self.known(body)

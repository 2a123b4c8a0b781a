"""What is known of the servers that speak the OpenAI API: who is who, which parameters each knows and by what name. Knows no connection.

``docs/openai-servers.md`` has the same as a table, and says what was tried and what was only read. Sources, read 2026-11-28: llama.cpp
``tools/server/README.md`` and the pinned build itself; vLLM ``entrypoints/openai/completion/protocol.py``; SGLang
``srt/entrypoints/openai/protocol.py`` and ``srt/sampling/sampling_params.py``; Ollama ``openai/openai.go``; LM Studio
https://lmstudio.ai/docs/developer/openai-compat/chat-completions; cyllama 0.2.18 ``llama/server/python.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from puna.generation import RANGES

SAMPLING = frozenset(RANGES) | {"stop"}
_SAME: Mapping[str, str] = {name: name for name in SAMPLING}


@dataclass(frozen=True, slots=True)
class Server:
    """One kind of server. owner: who it says owns its models. names: its name of each sampling parameter that it has.

    passes_over: whether it takes what it does not know without a word; else it refuses it by name, or nobody knows. route: how token ids
    are had of it, ``mixed`` (texts and ids in one list, control tokens as they are asked for), ``one`` or ``several`` texts, whose control
    tokens are always found; None where they are not. local: it runs on its owner's machine with one model loaded, so that a question of
    one token costs nothing. templates_text: a text goes through the chat template too. logprobs, schema: whether it has them; None where
    that must be tried.
    """

    name: str
    owner: str | None = None
    names: Mapping[str, str] = field(default_factory=lambda: _SAME)
    passes_over: bool = False
    route: str | None = None
    local: bool = False
    templates_text: bool = False
    safe: bool = False
    logprobs: bool | None = None
    schema: bool | None = False

    @property
    def ignores(self) -> tuple[str, ...]:
        """The sampling parameters that it is known to pass over."""
        return tuple(sorted(SAMPLING - set(self.names))) if self.passes_over else ()


def _but(*gone: str, **named: str) -> Mapping[str, str]:
    return {name: named.get(name, name) for name in SAMPLING if name not in gone}


PUNA = Server("puna", "puna", safe=True, logprobs=True)
LLAMA_CPP = Server(
    "llama.cpp",
    "llamacpp",
    names=_but(repetition_penalty="repeat_penalty"),
    passes_over=True,
    route="mixed",
    local=True,
    logprobs=True,
)
VLLM = Server("vLLM", "vllm", passes_over=True, route="one", local=True, logprobs=True)
SGLANG = Server("SGLang", "sglang", passes_over=True, route="several", local=True, logprobs=True)
OLLAMA = Server(
    "Ollama",
    "library",
    names=_but("top_k", "min_p", "repetition_penalty"),
    passes_over=True,
    templates_text=True,
)
LM_STUDIO = Server(
    "LM Studio", "organization_owner", names=_but("min_p", repetition_penalty="repeat_penalty"), passes_over=True
)
CYLLAMA = Server(
    "cyllama",
    "cyllama",
    names=_but("top_p", "top_k", "repetition_penalty", "presence_penalty", "frequency_penalty"),
    passes_over=True,
    logprobs=False,
)
UNKNOWN = Server("unknown")

SERVERS = (PUNA, LLAMA_CPP, VLLM, SGLANG, OLLAMA, LM_STUDIO, CYLLAMA)


def of_owners(owners: frozenset[str]) -> Server:
    """The server whose models are owned so; unknown where several own them, or nobody that is known."""
    found = [server for server in SERVERS if owners == {server.owner}]
    return found[0] if found else UNKNOWN

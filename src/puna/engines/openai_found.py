"""What a server of the OpenAI API is and offers, found out once. Knows questions that cost nothing; blocks.

Who it is stands in its list of models, or in a route that only one kind has. Only a server that says it is a local one, with its model
loaded, is asked for a token: one prompt of one token id, which tells whether ids, log-probabilities and echo are taken.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx

from puna.engines import openai_servers as servers
from puna.engines.bodies import ACCEPTED, pieces_now
from puna.engines.openai_servers import Server
from puna.engines.openai_tokens import MIXED, ONE, ServerVocabulary, listed, named, starting
from puna.engines.strangers import lost, pausing, retry_after, stranger
from puna.engines.timeouts import Timeouts
from puna.errors import EndpointError, EngineError, InputError, RefusedError, UnreachableError
from puna.wire.failures import of_bytes

QUESTION_SECONDS = 5.0
"""Longest wait for one answer about the server."""

LARGEST = 2**26
"""Bytes of the longest answer: a vocabulary of 262,144 tokens with their pieces has about 20 million."""

PROBE_SECONDS = 15.0
"""Longest time for all of them."""


class Template(NamedTuple):
    """A model's own chat template. bos, eos: the texts of its tokens, where they are told."""

    text: str
    bos: str | None
    eos: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """A server. model: its name there. context: tokens of one request's window, slots: requests at a time; 0 where not told.

    ids: whether prompts may be token ids. echo: whether it tells the log-probabilities of a prompt. streams: False where it is known not
    to. renders: whether it tells the prompt that it makes of messages. tokens: its vocabulary, where that can be asked for.
    """

    server: Server
    model: str
    context: int = 0
    slots: int = 0
    build: str = ""
    template: Template | None = None
    tokens: ServerVocabulary | None = None
    bos: str | None = None
    ids: bool = False
    echo: bool | None = None
    logprobs: bool | None = None
    renders: bool = False
    safe: bool = False

    def as_json(self) -> dict[str, object]:
        """For receipts: what was found, without what nobody knows."""
        told: dict[str, object] = {
            "server": self.server.name,
            "build": self.build or None,
            "context": self.context or None,
            "slots": self.slots or None,
            "token_ids": self.ids,
            "tokenize": self.tokens is not None or self.renders,
            "template": self.template is not None or None,
            "echo": self.echo,
            "logprobs": self.logprobs,
            "schema": self.server.schema,
            "seed": "seed" in self.server.names if self.server is not servers.UNKNOWN else None,
            "safe": self.safe,
            "ignores": list(self.server.ignores) or None,
        }
        return {name: value for name, value in told.items() if value is not None}


class Asking:
    """Questions to one server, each within its time. url: of its API; what is above ``/v1`` is asked for below its root."""

    def __init__(self, url: str, key: str | None, *, seconds: float = QUESTION_SECONDS) -> None:
        self.url = url
        self.root = url.removesuffix("/v1")
        loopback = httpx.URL(url).host in {"127.0.0.1", "localhost", "::1"}
        headers = {**ACCEPTED, **({"Authorization": f"Bearer {key}"} if key else {})}
        secure = url.startswith(
            "https:"
        )  # without, nothing is verified, and loading authorities takes longer than all questions
        self._seconds = seconds
        self.http = httpx.Client(headers=headers, trust_env=not loopback, verify=secure)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def get(self, path: str) -> Any:
        """The JSON below the root; raises as ``post``."""
        return self._said("GET", f"{self.root}/{path}", None, self._seconds)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """The JSON that the root's path answers with.

        Raises:
            UnreachableError: nothing answers. RefusedError: it will not. EndpointError: it is no JSON.
        """
        return self._said("POST", f"{self.root}/{path}", body, self._seconds)

    def api(self, path: str, body: Mapping[str, object] | None = None, seconds: float | None = None) -> Any:
        """As ``post``, or ``get`` where there is no body, below the address of the API. seconds: for what takes longer than a question."""
        method = "GET" if body is None else "POST"
        return self._said(method, f"{self.url}/{path}", body, seconds or self._seconds)

    def _said(self, method: str, url: str, body: Mapping[str, object] | None, seconds: float) -> Any:
        try:
            with self.http.stream(method, url, json=body, timeout=seconds) as answer:
                said = self._whole(answer, time.monotonic() + seconds)
        except httpx.HTTPError as error:
            raise lost(self.url, error, UnreachableError, Timeouts(seconds, seconds, seconds)) from error
        if answer.status_code != httpx.codes.OK:
            raise refusal(self.url, answer, said)
        if strange := stranger(self.url, answer, said):
            raise strange
        try:
            return json.loads(said)
        except (ValueError, RecursionError):  # brackets in brackets without end
            raise EndpointError(
                f"{answer.url} must answer with JSON, but answered {said[:80]!r}; is it such a server?"
            ) from None

    def _whole(self, answer: httpx.Response, until: float) -> bytes:
        """The body, where that ends in time and within bounds."""
        found = bytearray()
        for data in pieces_now(answer):
            found += data
            if len(found) > LARGEST or time.monotonic() > until:
                raise EndpointError(
                    f"{answer.url} goes on and on: {len(found)} bytes have come, and more than an answer about a server can have, or too "
                    "slowly; is it such a server?"
                )
        return bytes(found)


def refusal(url: str, answer: httpx.Response, body: bytes) -> EndpointError:
    """The error of an answer that is none."""
    if strange := stranger(url, answer, body):
        return strange
    after = retry_after(answer)
    sentence = f"{url} refused the request ({answer.status_code}): {of_bytes(body)}{pausing(after)}"
    return RefusedError(sentence, answer.status_code, after)


def find_out(asking: Asking, model: str | None) -> Found:
    """Who the server is, and what it offers. model: the one that is wanted there, None for the only one.

    Raises:
        InputError: several models, and none is named. EndpointError: it does not tell its models, and none is named.
    """
    until = time.monotonic() + PROBE_SECONDS
    models = _models(asking, needed=model is None)
    entry = _entry(models, model)
    name = model or _only(asking.url, models)
    server = servers.of_owners(frozenset(str(one.get("owned_by")) for one in models))
    if server is servers.UNKNOWN:
        server = _by_route(asking)
    found: dict[str, Any] = {"server": server, "model": name, "logprobs": server.logprobs, "safe": server.safe}
    for look in _LOOKS.get(server.name, ()):
        if time.monotonic() < until:
            # What a server tells beyond its models is a gift: without it less is known of it, and no more.
            with suppress(EngineError, KeyError, TypeError, ValueError, AttributeError, IndexError):
                found |= look(asking, entry, found)
    return Found(**found)


def _models(asking: Asking, *, needed: bool) -> list[Mapping[str, Any]]:
    try:
        said = asking.api("models")
        return [{**entry, "id": str(entry["id"])} for entry in said["data"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        if needed:
            raise EndpointError(
                f"{asking.url}/models does not list models as the OpenAI API does; is it such a server?"
            ) from None
    except RefusedError as error:
        # A gateway may serve a model without a list of any; who has no key there is told so at once.
        if needed or error.status in {401, 403}:
            raise
    return []


def _entry(models: Sequence[Mapping[str, Any]], model: str | None) -> Mapping[str, Any]:
    return next((one for one in models if one["id"] == model), models[0] if models and model is None else {})


def _only(url: str, models: Sequence[Mapping[str, Any]]) -> str:
    """The first name of the one model that there is."""
    if not models:
        raise EndpointError(f"{url} has no model; load one there")
    names = [entry["id"] for entry in models]
    if len(models) == 1 or _one_by_several_names(models):
        return str(names[0])
    raise InputError(
        f"{url} has several models, so one must be named, by --model NAME, or by model = NAME in [[targets]]: {', '.join(names[:20])}"
    )


def _one_by_several_names(models: Sequence[Mapping[str, Any]]) -> bool:
    """Puna serves one model, and lists it by the endpoint's name and its own; vLLM tells the ``root`` of each ``--served-model-name``."""
    if all(entry.get("owned_by") == "puna" for entry in models):
        return True
    return all(entry.get("root") and entry["root"] == models[0].get("root") for entry in models)


def _by_route(asking: Asking) -> Server:
    """A server whose list of models does not say who it is; only routes that cost nothing are asked for."""
    with suppress(EngineError):
        said = asking.get("props")
        if isinstance(said, dict) and "default_generation_settings" in said:
            return servers.LLAMA_CPP
    return servers.UNKNOWN


Look = Callable[[Asking, Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
"""Gets the questions, the model's entry and what was found already, and tells more."""


def _listed(asking: Asking, entry: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    """The window, as vLLM, SGLang and puna list it with a model."""
    del asking
    return {"context": _count(entry.get("max_model_len"))}


def _props(asking: Asking, entry: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    """Of llama.cpp."""
    del entry
    said = asking.get("props")
    found: dict[str, Any] = {
        "context": _count(said["default_generation_settings"].get("n_ctx")),
        "slots": _count(said.get("total_slots")),
        "build": str(said.get("build_info") or ""),
    }
    if isinstance(said.get("chat_template"), str) and said["chat_template"]:
        found["template"] = Template(said["chat_template"], said.get("bos_token"), said.get("eos_token"))
    return found


def _whole_vocabulary(asking: Asking, entry: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Of llama.cpp: 49,152 tokens take 0.2 s."""
    template = found.get("template")
    bos = template.bos if isinstance(template, Template) else None
    control, matched, spelled = listed(asking.post, int(entry["meta"]["n_vocab"]), bos)
    tokens = ServerVocabulary(asking.post, MIXED, str(found["model"]), control, matched=matched, spelled=spelled)
    return {"tokens": tokens, "renders": True, "bos": starting(asking.post, MIXED, "", control)}


def _named_tokens(asking: Asking, entry: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Of vLLM and SGLang."""
    del entry
    route, model = str(found["server"].route), str(found["model"])
    control = named(asking.post, route, model)
    return {
        "tokens": ServerVocabulary(asking.post, route, model, control),
        "renders": route == ONE,
        "bos": starting(asking.post, route, model, control),
    }


def _version(asking: Asking, entry: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    """Of vLLM."""
    del entry
    return {"build": str(asking.get("version")["version"])}


def _one_token(asking: Asking, entry: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """A prompt of one token id: are ids taken, log-probabilities told, and those of the prompt with ``echo``?"""
    del entry
    tokens = found.get("tokens")
    if not isinstance(tokens, ServerVocabulary):
        return {}
    body = {
        "model": found["model"], "prompt": tokens.encode("a")[:1], "max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True, "seed": 1,
    }  # fmt: skip
    (choice,) = asking.api("completions", body)["choices"]
    told = choice.get("logprobs") or {}
    return {"ids": True, "logprobs": bool(told), "echo": len(told.get("tokens") or ()) > 1}


def _puna(asking: Asking, entry: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Puna's own endpoint tells the prompt of messages, and has the log-probabilities of a prompt."""
    del entry
    hi = [{"role": "user", "content": "a"}]
    said = asking.post("tokenize", {"model": found["model"], "messages": hi, "return_token_strs": False})
    return {"renders": bool(said["tokens"]), "echo": True, "ids": True}


def _of_lm_studio(asking: Asking, entry: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The window with which the model is loaded, else the largest that it can have."""
    del entry
    every = asking.get("api/v0/models")["data"]
    mine = next(one for one in every if one["id"] == found["model"])
    return {"context": _count(mine.get("loaded_context_length"))}


def _of_ollama(asking: Asking, entry: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The version, and the window of the model where it is loaded."""
    del entry
    running: Iterator[Any] = iter(asking.get("api/ps")["models"])
    window = next((one.get("context_length") for one in running if found["model"] in (one["name"], one["model"])), 0)
    return {"context": _count(window), "build": str(asking.get("api/version")["version"])}


_LOOKS: Mapping[str, tuple[Look, ...]] = {
    "puna": (_listed, _puna),
    "llama.cpp": (_props, _whole_vocabulary, _one_token),
    "vLLM": (_listed, _version, _named_tokens, _one_token),
    "SGLang": (_listed, _named_tokens, _one_token),
    "LM Studio": (_of_lm_studio,),
    "Ollama": (_of_ollama,),
    "unknown": (_listed,),
}


def _count(told: object) -> int:
    return told if isinstance(told, int) and not isinstance(told, bool) and told > 0 else 0

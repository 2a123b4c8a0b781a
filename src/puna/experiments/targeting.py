"""Targets as an experiment's file declares them: a model here by its settings, or a server at a URL. Opens none of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import urlsplit

from puna import settings
from puna.engines.address import AWS
from puna.errors import InputError
from puna.experiments.file import Given, distinct
from puna.experiments.plan import Target
from puna.settings import Named

SETTINGS = ("model", "context", "slots", "engine", "prompts", "format", "threads", "batch_threads", "cache_reuse",
            "prompt_cache", "flash_attention", "cache_type", "gpu_layers")  # fmt: skip
"""Those of ``puna serve`` that matter to a model that answers here."""

ENVIRONMENT = "PUNA_URL"
"""As a url: the server that the environment names, with PUNA_ENDPOINT, PUNA_FORMAT, PUNA_CONTEXT and PUNA_DIALECT."""

_APIS = ("openai", "sagemaker")
_THERE = {"openai": ("model", "format", "context"), "sagemaker": ("endpoint", "format", "context", "dialect")}
"""What is told of a server besides its name, address and api."""

_KEYS = ("name", "url", "api", "endpoint", "dialect", *SETTINGS)


def targets_of(given: Given) -> tuple[Target, ...]:
    """The targets of ``[[targets]]``. One without a name is called by its model, endpoint or host.

    Raises:
        InputError: an unknown key or setting, keys that do not belong together, a bad value, two of one name.
    """
    entries = given.entries()
    found = tuple(_target(entry) for entry in entries)
    distinct("targets", ((entry, target.name) for entry, target in zip(entries, found, strict=True)))
    return found


def as_json(target: Target) -> dict[str, object]:
    """A target as its table in a file would be."""
    if target.api == "embedded":
        return {"name": target.name, **target.settings}
    there = {key: getattr(target, key) for key in _THERE[target.api]}
    told: dict[str, object] = {"name": target.name, "url": target.url, "api": target.api, **there}
    return {key: value for key, value in told.items() if value is not None}


def _target(given: Given) -> Target:
    inside = given.table("key of a target", _KEYS)
    if "url" in inside:
        return _remote(given, inside)
    for key in ("api", "endpoint", "dialect"):
        if key in inside:
            raise inside[key].refused(f"{inside[key].key} belongs to a target with a url; add the url, or leave it out")
    values = {name: _setting(entry) for name, entry in inside.items() if name != "name"}
    return Target(_name(inside, str(values.get("model") or values.get("engine") or "default")), settings=values)


def _remote(given: Given, inside: dict[str, Given]) -> Target:
    named = _named(inside["url"])
    parts = _split(inside["url"], named.url)
    api = _api(given, inside, named)
    for key, entry in inside.items():
        if key not in {"name", "url", "api", *_THERE[api]}:
            raise entry.refused(
                f"{entry.key} does not belong to a target at a url with the api {api}, which has "
                f"{_list(('name', 'url', 'api', *_THERE[api]))}"
            )
    there: dict[str, Any] = {"format": named.format, "context": named.context, "dialect": named.dialect}
    own = "model" if api == "openai" else "endpoint"
    there[own] = named.url.removeprefix(AWS) if named.url.startswith(AWS) else named.endpoint
    for key in _THERE[api]:
        if key in inside:
            there[key] = inside[key].label() if key == own else _setting(inside[key])
    told = {key: value for key, value in there.items() if value is not None}
    return Target(_name(inside, there[own] if api == "openai" and there[own] else parts), api, url=named.url, **told)


def _named(given: Given) -> Named:
    """The server at a url, with what the environment says of it where the url is that of the environment.

    Raises:
        InputError: no text, or the environment names no server, or says something wrong of it.
    """
    url = given.text()
    if url != ENVIRONMENT:
        return Named(url)
    try:
        named = settings.server()
    except InputError as error:
        raise given.refused(str(error)) from None
    if named is None:
        raise given.refused(
            f"{given.key} is {ENVIRONMENT}, the server that the environment names, but {ENVIRONMENT} is not set; run this as "
            "`puna exec -- ...`, or write the address"
        )
    return named


def _api(given: Given, inside: dict[str, Given], named: Named) -> Literal["openai", "sagemaker"]:
    """What a server speaks: said, or for the environment's by the form of its address."""
    if "api" in inside:
        return "openai" if inside["api"].choice("api", _APIS) == "openai" else "sagemaker"
    if inside["url"].value != ENVIRONMENT:
        raise given.refused(f'{given.key} must say what the server speaks: api = "openai" or api = "sagemaker"')
    return "openai" if named.url.rstrip("/").endswith("/v1") else "sagemaker"


def _split(given: Given, url: str) -> str:
    """Host and port of a URL that can be asked; of an endpoint of AWS, its name."""
    if url.startswith(AWS) and len(url) > len(AWS):
        return url.removeprefix(AWS)
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise given.must(f"the address of a server, like http://127.0.0.1:8080, sagemaker:NAME or {ENVIRONMENT}")
    if "@" in parts.netloc:
        raise given.refused(f"{given.key} has a user or password in it, which every run would keep; leave it out")
    return parts.netloc


def _setting(given: Given) -> object:
    (option,) = (each for each in settings.OPTIONS if each.name == given.path[-1])
    try:
        settings.settings({option.name: given.value}, {})
    except InputError as error:
        raise given.refused(str(error).replace(option.flag, given.key)) from None
    return given.value


def _name(inside: dict[str, Given], otherwise: str) -> str:
    return inside["name"].label() if "name" in inside else otherwise


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)

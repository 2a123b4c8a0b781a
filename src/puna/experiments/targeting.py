"""Targets as an experiment's file declares them: a model here by its settings, or a server at a URL. Opens none of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal
from urllib.parse import urlsplit

from puna import settings
from puna.engines.address import AWS
from puna.errors import InputError
from puna.experiments.file import Given, distinct
from puna.experiments.plan import Target

SETTINGS = ("model", "context", "slots", "engine", "prompts", "format", "threads", "batch_threads", "cache_reuse",
            "prompt_cache", "flash_attention", "cache_type", "gpu_layers")  # fmt: skip
"""Those of ``puna serve`` that matter to a model that answers here."""

_APIS = ("openai", "sagemaker")
_REMOTE = {"openai": ("name", "url", "api", "model"), "sagemaker": ("name", "url", "api", "endpoint")}
_KEYS = ("name", "url", "api", "endpoint", *SETTINGS)


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
    own = {"endpoint": target.endpoint} if target.api == "sagemaker" else {"model": target.model}
    told: dict[str, object] = {"name": target.name, "url": target.url, "api": target.api, **own}
    return {key: value for key, value in told.items() if value is not None}


def _target(given: Given) -> Target:
    inside = given.table("key of a target", _KEYS)
    if "url" in inside:
        return _remote(given, inside)
    for key in ("api", "endpoint"):
        if key in inside:
            raise inside[key].refused(f"{inside[key].key} belongs to a target with a url; add the url, or leave it out")
    values = {name: _setting(entry) for name, entry in inside.items() if name != "name"}
    return Target(_name(inside, str(values.get("model") or values.get("engine") or "default")), settings=values)


def _remote(given: Given, inside: dict[str, Given]) -> Target:
    url = inside["url"].text()
    parts = _split(inside["url"], url)
    if "api" not in inside:
        raise given.refused(f'{given.key} must say what the server speaks: api = "openai" or api = "sagemaker"')
    api: Literal["openai", "sagemaker"] = "openai" if inside["api"].choice("api", _APIS) == "openai" else "sagemaker"
    for key, entry in inside.items():
        if key not in _REMOTE[api]:
            raise entry.refused(
                f"{entry.key} does not belong to a target at a url with the api {api}, which has {_list(_REMOTE[api])}"
            )
    if api == "openai":
        model = inside["model"].label() if "model" in inside else None
        return Target(_name(inside, model or parts), api, url=url, model=model)
    target = Target(_name(inside, parts), api, url=url)
    if url.startswith(AWS):
        target = replace(target, endpoint=parts)
    return replace(target, endpoint=inside["endpoint"].label()) if "endpoint" in inside else target


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
        raise given.must("the address of a server, like http://127.0.0.1:8080, or sagemaker:NAME")
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

"""The environment in which AWS programs reach a local endpoint. Knows variables; starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import puna

DUMMY_KEYS = {"AWS_ACCESS_KEY_ID": "AKIDPUNALOCAL", "AWS_SECRET_ACCESS_KEY": "puna-local-no-secret"}
"""Keys to sign with where there are none: SDKs refuse to send unsigned requests."""

_SERVICE_URLS = tuple(f"AWS_ENDPOINT_URL_{name}" for name in ("SAGEMAKER_RUNTIME", "SAGEMAKER", "STS", "IAM"))
_PLUGIN = "puna=puna_botocore_plugin"


def endpoint_environment(
    url: str, environ: Mapping[str, str], endpoint: str | None = None
) -> tuple[dict[str, str], list[str]]:
    """Variables to set for programs that shall talk to ``url``, and a sentence for each one that replaces another.

    endpoint: its name there, where that is known. Real keys and profiles stay as they are: they only sign requests that go to ``url``.
    """
    chosen: dict[str, str] = {"AWS_ENDPOINT_URL": url, **_keys(environ), **puna_environment(url, endpoint)}
    chosen.update({name: url for name in _SERVICE_URLS if name in environ})
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    chosen["AWS_REGION"] = chosen["AWS_DEFAULT_REGION"] = region
    chosen["AWS_EC2_METADATA_DISABLED"] = "true"
    # A profile may say that endpoint variables are ignored; then prompts and real keys would go to AWS.
    chosen["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "false"
    chosen["BOTOCORE_EXPERIMENTAL__PLUGINS"] = _joined(environ.get("BOTOCORE_EXPERIMENTAL__PLUGINS"), _PLUGIN, ",")
    folder = Path(puna.__file__).parent / "botocore_plugin"
    chosen["PYTHONPATH"] = _joined(environ.get("PYTHONPATH"), str(folder), ":")
    if any(name in environ for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY")):
        for name in ("NO_PROXY", "no_proxy"):
            chosen[name] = _joined(environ.get(name), "127.0.0.1,localhost", ",")
    changed = {name: value for name, value in chosen.items() if environ.get(name) != value}
    return changed, [*_replaced(changed, environ), *_unused_keys(environ)]


def puna_environment(url: str, endpoint: str | None) -> dict[str, str]:
    """Variables by which puna's own programs talk to a server."""
    return {"PUNA_URL": url, **({} if endpoint is None else {"PUNA_ENDPOINT": endpoint})}


def _keys(environ: Mapping[str, str]) -> dict[str, str]:
    real = "AWS_ACCESS_KEY_ID" in environ or "AWS_PROFILE" in environ
    return {} if real else DUMMY_KEYS


def _joined(present: str | None, added: str, separator: str) -> str:
    if not present:
        return added
    return present if added in present.split(separator) else f"{present}{separator}{added}"


def _replaced(changed: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    extended = {"PYTHONPATH", "NO_PROXY", "no_proxy", "BOTOCORE_EXPERIMENTAL__PLUGINS"}
    return [
        f"{name} is replaced for this command"
        + ("" if "SECRET" in name else f" by {value}, instead of {environ[name]}")
        for name, value in changed.items()
        if name in environ and name not in extended
    ]


def _unused_keys(environ: Mapping[str, str]) -> list[str]:
    file = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path(environ.get("HOME", "~"), ".aws", "credentials"))
    if _keys(environ) and file.expanduser().is_file():
        return [f"dummy keys are set, so {file} is not used; set AWS_PROFILE to sign with a profile of it"]
    return []

"""Where a server is and what it speaks, as far as that can be told without asking it. Knows forms of addresses, no connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from puna.engines.retry import check_retries
from puna.engines.timeouts import Timeouts
from puna.errors import InputError, unknown
from puna.wire.dialects import AUTO, DIALECTS

APIS = ("auto", "openai", "sagemaker")
AWS = "sagemaker:"
"""What an endpoint's name follows, where the configuration of AWS says how it is reached."""

DEFAULT_ENDPOINT = "llama-2-7b"
"""The name of puna's own endpoint, and the workshop's."""

_AWS_HOST = re.compile(r"runtime(-fips)?\.sagemaker\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")
"""Hosts of SageMaker Runtime (botocore's endpoint rules); none of them lists models."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_FORMS = "http://127.0.0.1:8080, https://HOST/v1, or sagemaker:NAME for an endpoint of AWS"


@dataclass(frozen=True, slots=True)
class Address:
    """A server that answers prompts. url: of a server, ``http(s)://...``; or ``sagemaker:NAME``, an endpoint of AWS.

    api: what it speaks; auto: found out. name: of the model or endpoint there. key: the bearer token it wants. format: in which
    prompts are written for it; None where that is its own affair. dialect: of a SageMaker endpoint's container. context: tokens of its
    window, where it does not tell. retries: 0 to 20, further tries of a request that had no answer yet.
    """

    url: str
    api: Literal["auto", "openai", "sagemaker"] = "auto"
    name: str | None = None
    key: str | None = field(default=None, repr=False)
    format: str | None = None
    dialect: str = AUTO
    context: int | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = 2

    @property
    def aws(self) -> bool:
        """Whether the configuration of AWS says how it is reached."""
        return self.url.startswith(AWS)

    @property
    def shown(self) -> str:
        """What it is called in a sentence: an endpoint of AWS by its name, another server by its address."""
        return f"{AWS}{self.name or self.url.removeprefix(AWS)}" if self.aws else self.url

    @property
    def signed(self) -> bool:
        """Whether requests bear AWS signatures."""
        return self.aws or (self.api == "sagemaker" and self.key is None and _host_of_aws(self.url) is not None)

    @property
    def region(self) -> str | None:
        """AWS's region, where the address names it."""
        found = None if self.aws else _host_of_aws(self.url)
        return None if found is None else found["region"]

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine."""
        return not self.aws and urlsplit(self.url).hostname in _LOOPBACK


def checked(address: Address, environ: Mapping[str, str], place: str = "--url") -> Address:
    """The address with what its form tells: api and name. Only the parts of api auto that need a question stay open.

    environ: OPENAI_API_KEY is the key of an OpenAI API where none is given, as for its own clients; PUNA_AUTH_TOKEN that of an endpoint
    of puna's on this machine. place: where the address was given, for the sentence.

    Raises:
        InputError: no address, an unknown api or dialect, retries out of their range, or parts that do not go together.
    """
    if address.api not in APIS:
        raise InputError(unknown("api", address.api, APIS))
    if address.dialect not in (AUTO, *DIALECTS):
        raise InputError(unknown("dialect", address.dialect, (AUTO, *DIALECTS)))
    check_retries(address.retries)
    if address.aws:
        return _of_aws(address)
    path = _parts(address.url, place).path.rstrip("/")
    if address.api == "auto" and path.endswith("/v1"):
        address = replace(address, api="openai")
    if address.api == "auto" and _host_of_aws(address.url):
        address = replace(address, api="sagemaker")
    if address.api == "openai" and address.dialect != AUTO:
        raise InputError(
            f"dialect {address.dialect!r} is of a SageMaker container, but {address.url} speaks the OpenAI API; leave the dialect out"
        )
    return keyed(replace(address, url=address.url.rstrip("/")), environ)


def keyed(address: Address, environ: Mapping[str, str]) -> Address:
    """With the key that the environment has for it, where none is given. An unknown server is told none that is another's."""
    if address.key is not None or address.aws:
        return address
    found = environ.get("OPENAI_API_KEY") if address.api == "openai" else None
    if address.loopback:
        found = environ.get("PUNA_AUTH_TOKEN") or found
    return replace(address, key=found or None)


def _of_aws(address: Address) -> Address:
    if address.api == "openai":
        raise InputError(
            f"{address.url} is an endpoint of SageMaker, which --api openai cannot speak to; leave out --api"
        )
    named = address.url.removeprefix(AWS)
    if named and address.name and named != address.name:
        raise InputError(
            f"{address.url} names the endpoint {named!r}, but {address.name!r} is named too; leave out one of them"
        )
    if not (named or address.name):
        raise InputError(
            f"{AWS} must be followed by the endpoint's name, as in {AWS}my-endpoint, or come with --endpoint NAME"
        )
    if address.key is not None:
        raise InputError(f"{address.url} is called with AWS signatures, so that a key has no use; leave it out")
    return replace(address, api="sagemaker", url=AWS, name=named or address.name)


def _host_of_aws(url: str) -> re.Match[str] | None:
    return _AWS_HOST.fullmatch(urlsplit(url).hostname or "")


def _parts(url: str, place: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise InputError(f"{place} must be an address such as {_FORMS}; not {url[:80]!r}")
    if "@" in parts.netloc:
        raise InputError(
            f"{place} has a user or password in it; leave it out, and give the key by OPENAI_API_KEY or PUNA_UPSTREAM_KEY"
        )
    return parts

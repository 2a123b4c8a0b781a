"""Sentences for servers that are not there, or are not what was expected: what went wrong, and what to do. Knows HTTP and TLS, no API."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape

import httpx

from puna.engines.timeouts import DEFAULTS, Timeouts
from puna.errors import EndpointError, RefusedError, UnreachableError

MAX_REFUSAL = 2**16
"""Bytes that are read of an answer which is no answer."""

_SELF_SIGNED = {18, 19}
_EXPIRED = {9, 10}
_OTHER_HOST = {62, 64}
"""OpenSSL's numbers (x509_vfy.h): self-signed alone and in a chain; not yet valid and expired; another host name or address."""

_HTTPS_WANTED = re.compile(rb"(?i)http request (?:was sent )?to (?:an )?https (?:port|server)")
"""What nginx, Apache and Go's servers answer to plain HTTP where they speak TLS."""


def lost(url: str, error: httpx.HTTPError, kind: type[EndpointError], timeouts: Timeouts = DEFAULTS) -> EndpointError:
    """A sentence for a connection that fails. kind: UnreachableError where no answer had begun.

    Of what no second try can mend, as a certificate, it is a plain EndpointError.
    """
    if isinstance(error, httpx.ConnectTimeout):
        return kind(
            f"{url} could not be connected to within {timeouts.connect:g} s (time-out 'connect'); is the address right, and is the "
            "server up?"
        )
    if isinstance(error, httpx.TimeoutException):
        return kind(f"{url} said nothing for {max(timeouts.first, timeouts.between):g} s; is it up, and not busy?")
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return EndpointError(_tls(url, cause))
        if isinstance(cause, socket.gaierror):
            return kind(f"{url} has a host name that nobody knows ({cause}); check its spelling, and the network")
    said = str(error) or type(error).__name__
    if kind is not UnreachableError:
        return kind(f"{url} broke the answer off ({said}); ask again")
    if isinstance(error, httpx.RemoteProtocolError) and "illegal status line" in said:
        return EndpointError(f"{url} answered, but not by HTTP; is the port right, and should it be https://?")
    wrong = (
        ", and is it http:// that it speaks"
        if isinstance(error, httpx.RemoteProtocolError) and url.startswith("http:")
        else ""
    )
    return kind(f"{url} does not answer ({said}); is it up{wrong}?")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _tls(url: str, error: ssl.SSLError) -> str:
    number = getattr(error, "verify_code", None)
    if number in _SELF_SIGNED:
        return (
            f"{url} has a certificate that nobody vouches for (self-signed); if you trust that server, put its certificate, or the one that "
            "signed it, into a file and name that in SSL_CERT_FILE"
        )
    if number in _EXPIRED:
        return f"{url} has a certificate that does not hold now (expired, or not valid yet); renew it there, or set this machine's clock"
    if number in _OTHER_HOST:
        return f"{url} has a certificate for another host ({getattr(error, 'verify_message', error)}); use the name that it is for"
    if number is not None:
        return (
            f"{url} has a certificate that cannot be checked ({error}); name the file of its authority in SSL_CERT_FILE"
        )
    if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"}:
        return f"{url} does not speak TLS at that port; is the port right, and should it be http://?"
    return f"{url} could not agree on TLS ({error}); is the port right?"


def stranger(url: str, answer: httpx.Response, body: bytes) -> EndpointError | None:
    """The error where something answers that is no API at all: a redirect, a web page. None where it may be one.

    body: the beginning of it.
    """
    status = answer.status_code
    if 300 <= status < 400:
        location = answer.headers.get("location", "nowhere")
        return EndpointError(
            f"{url} sends its callers on to {location[:200]!r} ({status}), which is not followed; give that address, if it is the right one"
        )
    if _HTTPS_WANTED.search(body):
        return EndpointError(f"{url} speaks TLS at that port; write https://")
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media in {"text/html", "application/xhtml+xml"} or body.lstrip()[:14].lower().startswith(
        (b"<!doctype html", b"<html")
    ):
        sentence = (
            f"{url} answered with a web page ({status}{_title(body)}), not with JSON; is that the address of the API, and does no proxy or "
            "login page stand before it?"
        )
        return RefusedError(sentence, status, retry_after(answer)) if status >= 400 else EndpointError(sentence)
    return None


def _title(body: bytes) -> str:
    found = re.search(rb"(?is)<title[^>]*>(.*?)</title>", body)
    title = " ".join(unescape(found[1].decode("utf-8", "replace")).split()) if found else ""
    return f": {title[:80]!r}" if title else ""


async def beginning(answer: httpx.Response, most: int = MAX_REFUSAL) -> bytes:
    """The first bytes of a body, however long it goes on."""
    found = b""
    async for data in answer.aiter_bytes():
        found += data
        if len(found) >= most:
            break
    return found[:most]


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds after which a server wants to be asked again (RFC 9110, section 10.2.3); None where it does not say."""
    given = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", given):
        return float(given)
    try:
        wanted = parsedate_to_datetime(given)
    except ValueError:
        return None
    at = wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())

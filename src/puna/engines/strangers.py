"""Sentences for servers that are not there, or are not what was expected: what went wrong, and what to do. Knows HTTP and TLS, no API."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from http import HTTPStatus
from math import ceil

import httpx

from puna.engines.bodies import pieces
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
            f"server up{_OTHER[True] if url.startswith('https:') else ''}?"
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
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in said:
        ask = "" if url.startswith("https:") else ", and should it be https://"
        return EndpointError(f"{url} answered, but not by HTTP ({said[:200]}); is the port right{ask}?")
    cut = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)
    return kind(f"{url} does not answer ({said}); is it up{_OTHER[url.startswith('https:')] if cut else ''}?")


_OTHER = {False: ", or is it https:// that it speaks there", True: ", or is it http:// that it speaks there"}


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
    return f"{url} could not agree on TLS ({error}); is the port right, and should it be http://?"


def stranger(url: str, answer: httpx.Response, body: bytes) -> EndpointError | None:
    """The error where something answers that is no API at all: a redirect, a web page, 204. None where it may be one.

    body: the beginning of it.
    """
    status = answer.status_code
    if 300 <= status < 400:
        return EndpointError(_redirect(url, status, answer.headers.get("location", "")))
    if status != httpx.codes.OK and _HTTPS_WANTED.search(body):
        return EndpointError(f"{url} speaks TLS at that port; write https://")
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    begun = body.lstrip()[:14].lower()
    page = media in {"text/html", "application/xhtml+xml"} and not begun.startswith((b"{", b"["))  # PHP calls JSON so
    if page or begun.startswith((b"<!doctype html", b"<html")):
        sentence = (
            f"{url} answered with a web page ({status}{_title(body)}), not with JSON; is that the address of the API, and does no proxy or "
            "login page stand before it?"
        )
        if 400 <= status <= 599:
            after = retry_after(answer)
            return PageError(sentence + pausing(after), status, after)
        return EndpointError(sentence)
    if status != httpx.codes.OK and not 400 <= status <= 599:
        return EndpointError(
            f"{url} answered with {_named(status)}, where 200 and an answer in JSON was expected; is that the address of the API, and does "
            "no proxy stand before it?"
        )
    return None


class PageError(RefusedError):
    """A web page by which something refuses: a proxy, mostly, and not the API behind it."""


def _redirect(url: str, status: int, location: str) -> str:
    if not location:
        return f"{url} answered with {_named(status)}, which sends its callers elsewhere without saying where to; is that the address of the API?"
    return f"{url} sends its callers on to {location[:200]!r} ({status}), which is not followed; give that address, if it is the right one"


def _named(status: int) -> str:
    try:
        return f"status {status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return f"status {status}, which HTTP does not have"


def name_sender(error: EndpointError, url: str, who: str = "") -> None:
    """Say in the error of what reads answers, which knows nobody, whose answer it was. who: what names it better than its url alone."""
    if url not in str(error):
        error.args = (f"{who or url}: {error}",)


async def body(url: str, answer: httpx.Response) -> AsyncGenerator[bytes, None]:
    """What a server answers with, as it comes.

    Raises:
        EndpointError: it is a web page; or as ``pieces``.
    """
    first = True
    async with aclosing(pieces(answer)) as read:
        async for data in read:
            if first and (strange := stranger(url, answer, data)):
                raise strange
            first = False
            yield data


def _title(body: bytes) -> str:
    found = re.search(rb"(?is)<title[^>]*>(.*?)</title>", body)
    title = " ".join(unescape(found[1].decode("utf-8", "replace")).split()) if found else ""
    return f": {title[:80]!r}" if title else ""


async def first_bytes(answer: httpx.Response, most: int) -> bytes:
    """So many bytes of a body, however long it goes on; raises as ``pieces``."""
    found = bytearray()
    async with aclosing(pieces(answer)) as read:
        async for data in read:
            found += data
            if len(found) >= most:
                break
    return bytes(found[:most])


async def beginning(answer: httpx.Response, most: int = MAX_REFUSAL) -> bytes:
    """The first bytes of a body that may as well be none: nothing, where it cannot be read."""
    with suppress(EndpointError):
        return await first_bytes(answer, most)
    return b""


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds after which a server wants to be asked again (RFC 9110, section 10.2.3); None where it does not say."""
    given = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", given):
        return float(given)
    try:
        wanted = parsedate_to_datetime(given)
    except (ValueError, OverflowError):  # of a year that no clock has
        return None
    at = wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def pausing(seconds: float | None) -> str:
    """What a refusal says of the pause that its server asks for; "" where it asks for none."""
    return f"; it wants to be asked again in {ceil(seconds)} s, not before" if seconds else ""

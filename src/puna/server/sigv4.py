"""AWS Signature Version 4, verified: whose key signed this request? Knows keys and time as it is given them; no HTTP server.

A request is signed again by botocore's own signer (``auth.py`` of botocore 1.44.8: ``SigV4Auth``), over exactly the headers that it
names as signed, its path and query as they came on the wire, and a hash of its body; the signatures must be equal. Region and
session token may be any: they are covered by the signature, and here is one place only.

Rules: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html and
reference_sigv-troubleshooting.html beside it. The sentences are AWS's, as public issues quote them (aws/aws-sdk-js#573,
NickWaterton/Roomba980-Python#118, cllunsford/aws-signing-proxy#25, aws/chalice#828). Bearer tokens of the OpenAI routes: sagemaker-core
2.27, ``token_generator``. All read 2026-11-25.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from puna.errors import InputError, PunaError

ALGORITHM = "AWS4-HMAC-SHA256"
API_KEY = "sagemaker-api-key-"
"""How a bearer token that was made of AWS keys begins."""

SKEW = timedelta(minutes=5)
"""By which a client's clock may differ, as at AWS."""

LONGEST_URL = timedelta(days=7)
"""For which a presigned URL may hold (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html)."""

LONGEST_TOKEN = timedelta(hours=12)
"""For which a bearer token may hold
(https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-openai-compatible.html)."""

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""What a client signs that leaves its body out; ``x-amz-content-sha256`` says so, and is signed."""

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing "
    "method. Consult the service documentation for details."
)
_STAMP = "%Y%m%dT%H%M%SZ"
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_TOKEN_HOST = re.compile(r"(api\.)?sagemaker(\.[a-z0-9-]{1,32})?\.amazonaws\.com(\.cn)?")
_HASH = "x-amz-content-sha256"


class AuthError(PunaError):
    """Who asks could not be proved."""

    status = 403
    code = "AccessDeniedException"


class MissingTokenError(AuthError):
    """The request bears no signature."""

    code = "MissingAuthenticationTokenException"

    def __init__(self) -> None:
        super().__init__("Missing Authentication Token.")


class IncompleteSignatureError(AuthError):
    """A part of the signature is missing, or is not written as it should be."""

    code = "IncompleteSignatureException"


class UnknownKeyError(AuthError):
    """Nobody here has this access key."""

    code = "UnrecognizedClientException"

    def __init__(self) -> None:
        super().__init__("The security token included in the request is invalid.")


class InvalidSignatureError(AuthError):
    """The signature is for another request, time, service or secret."""

    code = "InvalidSignatureException"

    def __init__(self, sentence: str = _MISMATCH) -> None:
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class Signed:
    """A request as it came. path, query: percent-encoded still. headers: names in lower case, in their order."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def one(self, name: str) -> str | None:
        """The header's value.

        Raises:
            IncompleteSignatureError: it came more than once.
        """
        values = [value for given, value in self.headers if given == name]
        if len(values) > 1:
            raise IncompleteSignatureError(f"One header '{name}' is expected, and {len(values)} came.")
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signature says of itself. query: what of the query is signed. lifetime: of a presigned URL."""

    key: str
    date: str
    region: str
    service: str
    stamp: str
    headers: tuple[str, ...]
    query: str
    signature: str
    lifetime: timedelta | None = None


def require_botocore() -> None:
    """Raises: InputError: it is not installed."""
    try:
        import botocore.auth  # noqa: F401, PLC0415
    except ImportError as error:
        raise InputError(
            "AWS signatures are verified with botocore, which is not installed: pip install 'puna[aws]'"
        ) from error


def bears(request: Signed) -> bool:
    """Whether a request means to be signed by AWS's rules, in a header or in its query."""
    return (request.one("authorization") or "").startswith("AWS4-") or "X-Amz-Algorithm" in _pairs(request.query)


def verify(request: Signed, keys: Mapping[str, str], now: datetime) -> str:
    """The id of the access key that signed the request. keys: secrets by id.

    Raises:
        AuthError: nobody did, or it does not hold (any more).
    """
    claim = claim_of(request, keys, now)
    _check_signature(request, claim, keys[claim.key])
    # botocore signs what this header says; that it is true of the body is left to whoever verifies.
    told = request.one(_HASH) if _HASH in claim.headers else UNSIGNED_PAYLOAD
    if told != UNSIGNED_PAYLOAD and hashlib.sha256(request.body).hexdigest() != told:
        raise InvalidSignatureError
    return claim.key


def verify_token(token: str, keys: Mapping[str, str], now: datetime) -> str:
    """The id of the access key of which a bearer token was made: a presigned URL of ``CallWithBearerToken``, in base64.

    Raises:
        AuthError: it was made of none of these keys, or it does not hold (any more).
    """
    url = _decoded(token.removeprefix(API_KEY))
    # What follows the signature was added after signing, so it must be this and nothing else.
    if not token.startswith(API_KEY) or not url.endswith("&Version=1"):
        raise UnknownKeyError
    host, _, query = url.removesuffix("&Version=1").partition("/?")
    if not _TOKEN_HOST.fullmatch(host) or _pairs(query).get("Action") != "CallWithBearerToken":
        raise UnknownKeyError
    request = Signed("POST", "/", query, (("host", host),))
    claim = _query_claim(request, LONGEST_TOKEN)
    _check(claim, ("sagemaker",), keys, now)
    _check_signature(request, claim, keys[claim.key])
    return claim.key


def _decoded(text: str) -> str:
    """What stands in base64, if it is written in the one way that an encoder writes it."""
    with suppress(ValueError):
        data = base64.b64decode(text, validate=True)
        if base64.b64encode(data).decode() == text:
            return data.decode("ascii")
    raise UnknownKeyError


def claim_of(request: Signed, keys: Mapping[str, str], now: datetime) -> Claim:
    """What the signature claims, if all of it holds that can be told without the body.

    Raises:
        AuthError: it does not.
    """
    given = request.one("authorization")
    if given is not None:
        claim = _header_claim(request, given)
    elif "X-Amz-Algorithm" in _pairs(request.query):
        claim = _query_claim(request, LONGEST_URL)
    else:
        raise MissingTokenError
    # A form sent to / is a call of STS or IAM; everything else, the control plane's JSON too, is SageMaker.
    form = request.path == "/" and request.one("x-amz-target") is None
    _check(claim, ("sts", "iam") if form else ("sagemaker",), keys, now)
    return claim


def _header_claim(request: Signed, given: str) -> Claim:
    algorithm, _, rest = given.partition(" ")
    if algorithm.startswith("AWS4-") and algorithm != ALGORITHM:
        raise IncompleteSignatureError(f"Unsupported AWS 'algorithm': '{_cut(algorithm)}'.")
    words = [word.strip(" ").partition("=") for word in rest.split(",")]
    parts = {name: value for name, _, value in words}
    wrong = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not parts.get(name)
    ]
    stamp = _stamp(request)
    if stamp is None:
        wrong.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if wrong or stamp is None:
        raise IncompleteSignatureError(" ".join(wrong))
    if algorithm != ALGORITHM or len(words) != 3:
        raise IncompleteSignatureError(f"Authorization header requires '{ALGORITHM}' and these three parameters.")
    return _claim(
        parts["Credential"], stamp, names=parts["SignedHeaders"], query=request.query, signature=parts["Signature"]
    )


def _query_claim(request: Signed, longest: timedelta) -> Claim:
    pairs = _pairs(request.query)
    needed = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    wrong = [f"AWS query-string parameters must include 'X-Amz-{n}'." for n in needed if not pairs.get(f"X-Amz-{n}")]
    if wrong:
        raise IncompleteSignatureError(" ".join(wrong))
    algorithm, credential, stamp, expires, headers, signature = (unquote(pairs[f"X-Amz-{name}"]) for name in needed)
    if algorithm != ALGORITHM:
        raise IncompleteSignatureError(f"Unsupported AWS 'algorithm': '{_cut(algorithm)}'.")
    most = int(longest.total_seconds())
    if not re.fullmatch(r"[0-9]{1,7}", expires) or not 1 <= int(expires) <= most:
        raise IncompleteSignatureError(f"X-Amz-Expires must be a number of seconds from 1 to {most}.")
    signed = "&".join(pair for pair in request.query.split("&") if pair.partition("=")[0] != "X-Amz-Signature")
    lifetime = timedelta(seconds=int(expires))
    return _claim(credential, _basic(stamp), names=headers, query=signed, signature=signature, lifetime=lifetime)


def _claim(
    credential: str, stamp: str, *, names: str, query: str, signature: str, lifetime: timedelta | None = None
) -> Claim:
    parts = credential.split("/")
    if len(parts) != 5:
        raise IncompleteSignatureError(
            f"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
            f"'{_cut(credential)}'."
        )
    key, date, region, service, term = parts
    if term != "aws4_request":
        raise InvalidSignatureError(
            f"Credential should be scoped with a valid terminator: 'aws4_request', not '{_cut(term)}'."
        )
    headers = tuple(names.split(";"))
    if "host" not in headers:
        raise InvalidSignatureError("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    return Claim(key, date, region, service, stamp, headers, query, signature, lifetime)


def _check(claim: Claim, services: tuple[str, ...], keys: Mapping[str, str], now: datetime) -> None:
    """Scope, time and key, in this order: a secret is not looked at before the rest is in order."""
    if claim.service not in services:
        raise InvalidSignatureError(
            f"Credential should be scoped to correct service: {' or '.join(f'{name!r}' for name in services)}."
        )
    if not _REGION.fullmatch(claim.region):
        raise InvalidSignatureError("Credential should be scoped to a valid region.")
    if claim.date != claim.stamp[:8]:
        raise InvalidSignatureError(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{_cut(claim.date)}' != '{claim.stamp[:8]}', from '{claim.stamp}'."
        )
    _check_time(claim, now.astimezone(UTC).replace(microsecond=0))
    if claim.key not in keys:
        raise UnknownKeyError


def _check_time(claim: Claim, now: datetime) -> None:
    signed = datetime.strptime(claim.stamp, _STAMP).replace(tzinfo=UTC)
    lifetime = claim.lifetime or SKEW
    if signed < (earliest := now - lifetime):
        raise InvalidSignatureError(
            f"Signature expired: {claim.stamp} is now earlier than {earliest:{_STAMP}} ({now:{_STAMP}} - {_told(lifetime)})"
        )
    if signed > (latest := now + SKEW):
        raise InvalidSignatureError(
            f"Signature not yet current: {claim.stamp} is still later than {latest:{_STAMP}} ({now:{_STAMP}} + {_told(SKEW)})"
        )


def _told(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds} sec." if seconds % 60 else f"{seconds // 60} min."


def _check_signature(request: Signed, claim: Claim, secret: str) -> None:
    # Bytes: of text that is not ASCII, compare_digest takes none.
    if not hmac.compare_digest(_signature(request, claim, secret).encode(), claim.signature.encode()):
        raise InvalidSignatureError


def _signature(request: Signed, claim: Claim, secret: str) -> str:
    """The signature that the request should bear.

    Raises:
        InvalidSignatureError: nobody's signer would have signed such a request.
    """
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    # Not over TLS in botocore's eyes: it then always hashes the body.
    again = AWSRequest(request.method, _url(request.path, claim.query), data=request.body)
    for name, value in request.headers:
        if name in claim.headers:
            again.headers[name] = value
    if list(claim.headers) != sorted(set(again.headers)):
        raise InvalidSignatureError
    again.context["timestamp"] = claim.stamp
    signer: Any = SigV4Auth(Credentials(claim.key, secret), claim.service, claim.region)
    # Of its own, botocore leaves out headers that other signers sign, User-Agent among them.
    signer.headers_to_sign = lambda _: again.headers
    signature: str = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    return signature


def _url(path: str, query: str) -> str:
    """A URL out of which botocore takes just this path and this query again.

    Raises:
        InvalidSignatureError: there is none, since ``urlsplit`` ends a path at ``#`` and drops line breaks.
    """
    url = f"http://host{path}" + (f"?{query}" if query else "")
    parts = urlsplit(url) if path.startswith("/") else None
    if parts is None or (parts.path, parts.query) != (path, query):
        raise InvalidSignatureError
    return url


def _stamp(request: Signed) -> str | None:
    """When a request says that it was signed, in ISO 8601's basic format."""
    stamp = request.one("x-amz-date")
    if stamp is not None:
        return _basic(stamp)
    date = request.one("date")
    if date is None or "," not in date:
        return date and _basic(date)
    try:
        at = parsedate_to_datetime(date)
        # A zone of -0000 is none to Python, which would take the time for this machine's.
        return _basic((at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).strftime(_STAMP))
    except (ValueError, OverflowError) as error:
        raise _no_date(date) from error


def _basic(stamp: str) -> str:
    with suppress(ValueError):
        # There and back: strptime takes many a spelling.
        if f"{datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC):{_STAMP}}" == stamp:
            return stamp
    raise _no_date(stamp)


def _no_date(given: str) -> IncompleteSignatureError:
    return IncompleteSignatureError(
        f"Date must be in ISO-8601 'basic format'. Got '{_cut(given)}'. See http://en.wikipedia.org/wiki/ISO_8601"
    )


def _pairs(query: str) -> dict[str, str]:
    """The query's parameters, percent-encoded still.

    Raises:
        IncompleteSignatureError: one of the signature's own came twice.
    """
    found: dict[str, str] = {}
    for name, _, value in (pair.partition("=") for pair in query.split("&")):
        if name in found and name.startswith("X-Amz-"):
            raise IncompleteSignatureError(f"One query-string parameter '{_cut(name)}' is expected, and more came.")
        found[name] = value
    return found


def _cut(given: str) -> str:
    """What a caller wrote, short, and in characters that every answer and log can carry."""
    return "".join(c if " " <= c <= "~" else "?" for c in given[:100])

"""Who may ask: the layer that lets a request pass if it bears a proof. Knows ASGI and the shapes of refusals; no configuration.

A proof is an AWS signature (``sigv4``) or a bearer token. What is refused is told in the shape that the route's client reads: JSON
of the OpenAI API with 401, XML to STS and IAM, rest-json and 403 else. Codes of STS and IAM:
https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html (read 2026-11-25).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote
from xml.sax.saxutils import escape

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puna.errors import InputError, PunaError
from puna.server import aws, sigv4
from puna.server.exchange import ClientGoneError, exchange_of, read_body
from puna.server.invocations import MAX_BODY
from puna.server.openai import error_response
from puna.server.sigv4 import AuthError, MissingTokenError, Signed, UnknownKeyError
from puna.settings import Settings

OPEN = frozenset({"/ping", "/health", "/"})
"""Paths of which everyone may read: what checks a container's health has no keys, and a browser has none for a page."""

PAGE = "/static/"
"""Below it lies what the page is made of: the same for everyone, and nothing of the model."""

CALLER = "puna.caller"
"""The scope's entry that says who asked: the id of an access key, or ``token``."""

_IAM_SCOPE = re.compile(r"/[0-9]{8}/[^/]*/iam/|%2F[0-9]{8}%2F[^%]*%2Fiam%2F")
_QUERY_CODES = {"InvalidSignatureException": "SignatureDoesNotMatch", "UnrecognizedClientException": "InvalidClientTokenId",
                "413": "RequestEntityTooLarge"}  # fmt: skip


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Proof(Protocol):
    """One way to prove who asks. name: as ``--auth`` has it. wanted: what to do, to whoever did not."""

    name: str
    wanted: str

    async def caller(self, request: Signed, body: Callable[[], Awaitable[bytes]]) -> str | None:
        """Who asks; None if the request bears no proof of this kind. request: as yet without its body.

        Raises:
            AuthError: it bears one that does not hold. BodyTooLargeError, ClientGoneError: of reading the body.
        """


class SigV4:
    """By an AWS signature, in a header or a presigned URL, or by a bearer token that was made of the same keys.

    keys: secrets by access key id.

    Raises:
        InputError: there is no key, or botocore is not installed.
    """

    name = "sigv4"
    wanted = (
        "sign the request with AWS Signature Version 4, as AWS SDKs do, or send a bearer token as the SageMaker SDK makes it, "
        "either by a key that the endpoint was started with (PUNA_AUTH_KEYS)"
    )

    def __init__(self, keys: Mapping[str, str], clock: Callable[[], datetime] = utc_now) -> None:
        if not keys or not all(keys) or not all(keys.values()):
            raise InputError("signatures are verified by keys: give at least one access key id with its secret")
        sigv4.require_botocore()
        self._keys = dict(keys)
        self._clock = clock

    async def caller(self, request: Signed, body: Callable[[], Awaitable[bytes]]) -> str | None:
        """The access key's id."""
        # The time at which the request came: its body may take long.
        now, token = self._clock(), _bearer(request)
        if token is not None and token.startswith(sigv4.API_KEY):
            return sigv4.verify_token(token, self._keys, now)
        if not sigv4.bears(request):
            return None
        # Before the body is read, so that whoever has no key cannot have 6 MiB held.
        sigv4.claim_of(request, self._keys, now)
        return sigv4.verify(replace(request, body=await body()), self._keys, now)


class Token:
    """By a bearer token that both sides know.

    Raises:
        InputError: it is none that a header can carry.
    """

    name = "token"
    wanted = "send the header 'Authorization: Bearer TOKEN' with the token that the endpoint was started with (PUNA_AUTH_TOKEN)"

    def __init__(self, token: str) -> None:
        if not re.fullmatch(r"[!-~]+", token):
            raise InputError("a bearer token is one or more printable ASCII characters without spaces; give such a one")
        self._token = token.encode()

    async def caller(self, request: Signed, body: Callable[[], Awaitable[bytes]]) -> str | None:  # noqa: ARG002
        """``token``."""
        given = _bearer(request)
        if given is None:
            return None
        if not hmac.compare_digest(given.encode(), self._token):
            raise UnknownKeyError
        return "token"


def proofs_of(wanted: Settings) -> tuple[Proof, ...]:
    """What requests must bear one of, as the settings say; none where everyone may come.

    Raises:
        InputError: keys or token are missing, or written in another way.
    """
    kinds = (wanted.auth or "none").split("+")
    proofs: list[Proof] = []
    if "sigv4" in kinds:
        pairs = [entry.strip().partition(":") for entry in (wanted.auth_keys or "").split(",") if entry.strip()]
        if not pairs or not all(name and secret for name, _, secret in pairs):
            raise InputError(
                "--auth sigv4 needs PUNA_AUTH_KEYS=ID:SECRET (several with commas between), and it is not so"
            )
        proofs.append(SigV4({name: secret for name, _, secret in pairs}))
    if "token" in kinds:
        if not wanted.auth_token:
            raise InputError("--auth token needs the token in PUNA_AUTH_TOKEN, and there is none")
        proofs.append(Token(wanted.auth_token))
    return tuple(proofs)


class Guard:
    """The layer inside ``Exchanges``: refuses what bears none of the proofs, and leaves in the scope who asked.

    open_paths: of which GET and HEAD need no proof.
    """

    def __init__(self, app: ASGIApp, proofs: Sequence[Proof], open_paths: Collection[str] = OPEN) -> None:
        self.app = app
        self.proofs = proofs
        self.open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no proof can be borne here"})
        elif scope["type"] != "http" or (scope["method"] in {"GET", "HEAD"} and self._is_open(scope["path"])):
            await self.app(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in self.open_paths or path.startswith(PAGE)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(scope, receive)
        try:
            scope[CALLER] = await self._caller(_request(scope), body)
        except ClientGoneError:
            raise
        except PunaError as error:
            exchange_of(scope).note = f"refused: {error}"
            await _refusal(scope, error, self._sentence(error), self._names)(scope, receive, send)
        else:
            await self.app(scope, body.receive, send)

    async def _caller(self, request: Signed, body: _Body) -> str:
        refused: AuthError = MissingTokenError()
        for proof in self.proofs:
            try:
                caller = await proof.caller(request, body.read)
            except AuthError as error:
                refused = error
            else:
                if caller is not None:
                    return caller
        raise refused

    def _sentence(self, error: PunaError) -> str:
        """AWS's words; where they say too little, what this endpoint wants."""
        if not isinstance(error, MissingTokenError | UnknownKeyError):
            return str(error)
        wanted = ", or ".join(p.wanted for p in self.proofs)
        return f"{error} This endpoint was started with --auth {self._names}: {wanted}."

    @property
    def _names(self) -> str:
        return "+".join(p.name for p in self.proofs)


class _Body:
    """A request's body, read once here and told once more to the app."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._kept: bytes | None = None

    async def read(self) -> bytes:
        if self._kept is None:
            self._kept = await read_body(self._scope, self._receive, MAX_BODY)
        return self._kept

    async def receive(self) -> Message:
        """What ``read`` took; then what comes of the client, its leaving above all."""
        if self._kept is None:
            return await self._receive()
        body, self._kept = self._kept, None
        return {"type": "http.request", "body": body, "more_body": False}


def _request(scope: Scope) -> Signed:
    path = scope.get("raw_path", b"").decode("latin-1") or quote(scope["path"])
    headers = tuple((name.decode("latin-1").lower(), _text(value)) for name, value in scope["headers"])
    return Signed(scope["method"], path, scope["query_string"].decode("latin-1"), headers)


def _text(value: bytes) -> str:
    """A header's value as its signer had it: Python's clients send UTF-8, JavaScript's Latin-1, and all sign UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _bearer(request: Signed) -> str | None:
    scheme, _, token = (request.one("authorization") or "").partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else None


def _refusal(scope: Scope, error: PunaError, sentence: str, wants: str) -> Response:
    path, exchange = scope["path"], exchange_of(scope)
    names = {name for name, _ in scope["headers"]}
    if path.startswith("/v1/") or path == "/tokenize" or (path.startswith("/endpoints/") and "/openai/" in path):
        headers = {"x-request-id": exchange.id}
        if isinstance(error, AuthError):
            return error_response(401, sentence, {**headers, "WWW-Authenticate": "Bearer"})
        return error_response(error.status, sentence, headers)
    if path.startswith("/api/"):
        code = "unauthorized" if isinstance(error, AuthError) else "input"
        body = aws.to_json({"error": {"code": code, "message": sentence, "retryable": False, "wants": wants}})
        return Response(body, 401 if isinstance(error, AuthError) else error.status, media_type="application/json")
    if path == "/" and b"x-amz-target" not in names:
        return _xml(scope, error, sentence, exchange.id)
    # The control plane's JSON has the code in its body, SageMaker Runtime's in the header.
    more = {"__type": error.code} if path == "/" else None
    return aws.error(error.status, error.code, sentence, more)


def _xml(scope: Scope, error: PunaError, sentence: str, request_id: str) -> Response:
    signed = " ".join([*(_text(v) for n, v in scope["headers"] if n == b"authorization"), _text(scope["query_string"])])
    namespace = (
        "https://iam.amazonaws.com/doc/2010-05-08/"
        if _IAM_SCOPE.search(signed)
        else "https://sts.amazonaws.com/doc/2011-06-15/"
    )
    code = _QUERY_CODES.get(error.code, error.code.removesuffix("Exception"))
    body = (
        f'<ErrorResponse xmlns="{namespace}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{escape(sentence)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Response(body, error.status, media_type="text/xml")

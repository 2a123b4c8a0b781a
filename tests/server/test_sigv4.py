"""Signatures of real clients are verified, and nothing else is.

``reference`` signs by AWS's document alone (reference_sigv-create-signed-request.html), so that botocore is not its own judge.
"""

from __future__ import annotations

import base64
import builtins
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from puna.errors import InputError
from puna.server.sigv4 import (
    AuthError,
    IncompleteSignatureError,
    InvalidSignatureError,
    MissingTokenError,
    Signed,
    UnknownKeyError,
    require_botocore,
    verify,
    verify_token,
)

KEY, SECRET = "AKIDLOCAL", "local-secret/+="
KEYS = {"AKIDOTHER": "other", KEY: SECRET}
NOW = datetime(2026, 11, 22, 10, 0, 0, 999_999, tzinfo=UTC)
STAMP = "20261122T100000Z"
MISMATCH = "The request signature we calculated does not match the signature you provided"
PATH = "/endpoints/a%20b%2F..%2F%C3%BC~%21/invocations"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def reference(
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    method: str = "POST",
    path: str = PATH,
    query: str = "",
    stamp: str = STAMP,
    scope: str = "",
    key: str = KEY,
    secret: str = SECRET,
    content: str | None = None,
) -> str:
    """The header Authorization. content: what is signed as the body's hash."""
    scope = scope or f"{stamp[:8]}/eu-west-1/sagemaker/aws4_request"
    names = ";".join(sorted(headers))
    canonical = "\n".join([
        method, quote(path, safe="/~-_."), "&".join(sorted(pair if "=" in pair else f"{pair}=" for pair in query.split("&") if pair)),
        *(f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)), "", names,
        content or hashlib.sha256(body).hexdigest(),
    ])  # fmt: skip
    signing = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        signing = _hmac(signing, part)
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    return f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={_hmac(signing, text).hex()}"


def signed(
    headers: Mapping[str, str] | None = None,
    body: bytes = b'{"inputs": 1}',
    *,
    path: str = PATH,
    query: str = "",
    stamp: str = STAMP,
    **how: Any,
) -> Signed:
    """A request with its signature. headers: those that are signed, besides host and date."""
    own = {"host": "127.0.0.1:8080", "x-amz-date": stamp, **(headers or {})}
    authorization = reference(own, body, path=path, query=query, stamp=stamp, **how)
    return Signed("POST", path, query, (*own.items(), ("authorization", authorization)), body)


def change(request: Signed, name: str, value: str | None) -> Signed:
    """Another value of a header, or the request without it."""
    rest = tuple(pair for pair in request.headers if pair[0] != name)
    return replace(request, headers=rest if value is None else (*rest, (name, value)))


# ---- what real clients send ----


class _CapturedError(Exception):
    def __init__(self, request: Any) -> None:
        self.request = request


def captured(service: str, call: Callable[[Any], object], url: str = "http://127.0.0.1:8080", **more: str) -> Signed:
    """What boto3 would send."""
    client = boto3.client(service, endpoint_url=url, region_name="eu-west-1", aws_access_key_id=KEY,
                          aws_secret_access_key=SECRET, config=Config(retries={"total_max_attempts": 1}), **more)  # fmt: skip

    def keep(request: Any, **_: Any) -> None:
        raise _CapturedError(request)

    client.meta.events.register("before-send.*", keep)
    with pytest.raises(_CapturedError) as caught:
        call(client)
    client.close()
    request = caught.value.request
    parts = urlsplit(request.url)
    headers = tuple((k.lower(), v.decode() if isinstance(v, bytes) else v) for k, v in request.headers.items())
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    body = body.encode() if isinstance(body, str) else bytes(body)
    return Signed(request.method, parts.path, parts.query, (("host", parts.netloc), *headers), body)


CALLS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "invoke": ("sagemaker-runtime", lambda c: c.invoke_endpoint(EndpointName="llama", Body=b'{"a": 1}')),
    "empty body": ("sagemaker-runtime", lambda c: c.invoke_endpoint(EndpointName="llama", Body=b"")),
    "headers": ("sagemaker-runtime", lambda c: c.invoke_endpoint(
        EndpointName="llama", Body=bytes(range(256)), ContentType="application/json", Accept="*/*",
        CustomAttributes="a = b   c,  d é", InferenceId="x", TargetVariant="AllTraffic")),
    "empty header": ("sagemaker-runtime", lambda c: c.invoke_endpoint(
        EndpointName="llama", Body=b"x", CustomAttributes="")),
    "odd name": ("sagemaker-runtime", lambda c: c.invoke_endpoint(EndpointName="a b/../ü~!*'();:@&=+$,?#[]%", Body=b"x")),
    "dots": ("sagemaker-runtime", lambda c: c.invoke_endpoint(EndpointName="..", Body=b"x")),
    "stream": ("sagemaker-runtime", lambda c: c.invoke_endpoint_with_response_stream(
        EndpointName="llama", Body=b"x", Accept="application/jsonlines")),
    "async": ("sagemaker-runtime", lambda c: c.invoke_endpoint_async(EndpointName="llama", InputLocation="s3://b/k")),
    "sts": ("sts", lambda c: c.get_caller_identity()),
    "iam": ("iam", lambda c: c.get_role(RoleName="PunaLocalRole")),
    "control plane": ("sagemaker", lambda c: c.describe_endpoint(EndpointName="llama")),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:8080/", "http://[::1]:8080", "http://puna"])
def test_boto3_is_verified(name: str, url: str) -> None:
    request = captured(*CALLS[name], url)
    assert verify(request, KEYS, datetime.now(UTC)) == KEY
    for other in (replace(request, body=request.body + b" "), change(request, "host", "elsewhere")):
        with pytest.raises(InvalidSignatureError, match=MISMATCH):
            verify(other, KEYS, datetime.now(UTC))


def test_session_tokens_may_be_any_and_are_covered() -> None:
    request = captured(*CALLS["invoke"], aws_session_token="session")
    assert verify(request, KEYS, datetime.now(UTC)) == KEY
    with pytest.raises(InvalidSignatureError, match=MISMATCH):
        verify(change(request, "x-amz-security-token", "another"), KEYS, datetime.now(UTC))
    assert verify(change(signed(), "x-amz-security-token", "unsigned"), KEYS, NOW) == KEY


BODY = b'{"inputs": "hi"}'
HASH = hashlib.sha256(BODY).hexdigest()
SETS: dict[str, dict[str, str]] = {
    # Which headers who signs: shared/sagemaker/PROTOCOL.md, section 1.
    "litellm": {"content-type": "application/json"},
    "bare": {},
    "aiobotocore": {"content-type": "application/json", "x-amzn-sagemaker-custom-attributes": "accept_eula=true"},
    "javascript": {"accept": "*/*", "amz-sdk-invocation-id": "8a", "amz-sdk-request": "attempt=1; max=3",
                   "content-length": str(len(BODY)), "content-type": "application/json", "x-amz-content-sha256": HASH,
                   "x-amz-user-agent": "aws-sdk-js/3.1164  ua/2.1"},
    "java, that signs what botocore never does": {"user-agent": "aws-sdk-java", "expect": "100-continue"},
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_other_clients_headers(name: str) -> None:
    request = signed(SETS[name], BODY, path="/endpoints/llama/invocations")
    assert verify(request, KEYS, NOW) == KEY
    assert verify(change(request, "x-forwarded-for", "192.0.2.1"), KEYS, NOW) == KEY
    for header in SETS[name]:
        for value in ("other", None):
            with pytest.raises(InvalidSignatureError, match=MISMATCH):
                verify(change(request, header, value), KEYS, NOW)


def test_a_published_example() -> None:
    """https://docs.aws.amazon.com/general/latest/gr/sigv4-add-signature-to-request.html, as it stood until 2023."""
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )
    headers = (
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("host", "iam.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
        ("authorization", authorization),
    )
    keys = {"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
    request = Signed("GET", "/", "Action=ListUsers&Version=2010-05-08", headers)
    assert verify(request, keys, datetime(2015, 8, 30, 12, 36, tzinfo=UTC)) == "AKIDEXAMPLE"


def test_the_body_may_be_left_out_where_the_client_signed_so() -> None:
    request = signed({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, BODY, content="UNSIGNED-PAYLOAD")
    assert verify(replace(request, body=b"other"), KEYS, NOW) == KEY
    # Not signed, it says nothing.
    request = change(signed(body=BODY), "x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    assert verify(request, KEYS, NOW) == KEY
    with pytest.raises(InvalidSignatureError):
        verify(replace(request, body=b"other"), KEYS, NOW)


def test_a_signed_hash_must_be_the_bodys() -> None:
    request = signed({"x-amz-content-sha256": HASH}, BODY)
    with pytest.raises(InvalidSignatureError, match=MISMATCH):
        verify(replace(request, body=b"other"), KEYS, NOW)


def test_a_date_header_does_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    # Which this machine's zone is does not matter.
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    at = NOW.replace(microsecond=0)
    for date in (format_datetime(at, usegmt=True), format_datetime(at.replace(tzinfo=None)), STAMP):
        headers = {"host": "puna", "date": date}
        request = Signed("POST", PATH, "", (*headers.items(), ("authorization", reference(headers))))
        assert verify(request, KEYS, NOW) == KEY
        with pytest.raises(InvalidSignatureError, match="Signature expired"):
            verify(request, KEYS, NOW + timedelta(minutes=6))
    monkeypatch.undo()
    time.tzset()


# ---- what is refused ----

SCOPE = "20261122/eu-west-1/sagemaker/aws4_request"
FORM: dict[str, Any] = {"path": "/", "body": b"Action=GetCallerIdentity&Version=2011-06-15"}
WRONG: list[tuple[Signed, type[AuthError], str, str]] = [
    (change(signed(), "authorization", None), MissingTokenError, "MissingAuthenticationTokenException",
     "Missing Authentication Token."),
    (signed(key="AKIDNOBODY"), UnknownKeyError, "UnrecognizedClientException",
     "The security token included in the request is invalid."),
    (signed(secret="wrong"), InvalidSignatureError, "InvalidSignatureException",
     f"{MISMATCH}. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."),
    (signed(scope=SCOPE.replace("sagemaker", "bedrock")), InvalidSignatureError, "InvalidSignatureException",
     "Credential should be scoped to correct service: 'sagemaker'."),
    (signed(**FORM), InvalidSignatureError, "InvalidSignatureException",
     "Credential should be scoped to correct service: 'sts' or 'iam'."),
    (signed({"x-amz-target": "SageMaker.ListEndpoints"}, path="/", scope=SCOPE.replace("sagemaker", "sts")),
     InvalidSignatureError, "InvalidSignatureException", "Credential should be scoped to correct service: 'sagemaker'."),
    (signed(scope=SCOPE.replace("eu-west-1", "")), InvalidSignatureError, "InvalidSignatureException",
     "Credential should be scoped to a valid region."),
    (signed(scope=SCOPE.replace("aws4_request", "aws")), InvalidSignatureError, "InvalidSignatureException",
     "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws'."),
    (signed(scope=SCOPE.replace("22/", "21/")), InvalidSignatureError, "InvalidSignatureException",
     ("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261121' != '20261122', "
      "from '20261122T100000Z'.")),
    (signed(scope="eu-west-1/sagemaker/aws4_request"), IncompleteSignatureError, "IncompleteSignatureException",
     ("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
      "'AKIDLOCAL/eu-west-1/sagemaker/aws4_request'.")),
    (change(signed(), "x-amz-date", None), IncompleteSignatureError, "IncompleteSignatureException",
     "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."),
    (change(signed(), "x-amz-date", "2026-11-22"), IncompleteSignatureError, "IncompleteSignatureException",
     "Date must be in ISO-8601 'basic format'. Got '2026-11-22'. See http://en.wikipedia.org/wiki/ISO_8601"),
    (change(signed(), "authorization", "Bearer x"), IncompleteSignatureError, "IncompleteSignatureException",
     ("Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. "
      "Authorization header requires 'SignedHeaders' parameter.")),
    (change(signed(), "authorization", "AWS4-ECDSA-P256-SHA256 Credential=x"), IncompleteSignatureError,
     "IncompleteSignatureException", "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'."),
]  # fmt: skip


@pytest.mark.parametrize("row", WRONG, ids=[f"{row[1].__name__}-{n}" for n, row in enumerate(WRONG)])
def test_refusals_in_awss_words(row: tuple[Signed, type[AuthError], str, str]) -> None:
    request, kind, code, sentence = row
    with pytest.raises(kind) as caught:
        verify(request, KEYS, NOW)
    assert (caught.value.status, caught.value.code, str(caught.value)) == (403, code, sentence)


NAMES = "SignedHeaders=host;x-amz-date"


@pytest.mark.parametrize(("old", "new"), [
    (NAMES, "SignedHeaders=x-amz-date;host"), (NAMES, "SignedHeaders=Host;x-amz-date"), (NAMES, f"{NAMES};host"),
    (NAMES, f"{NAMES};absent"), (", ", ",\t"), (", ", " "), (NAMES, f"{NAMES}, {NAMES}"), (NAMES, f"{NAMES}, More=x"),
    ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256, "), ("AWS4-HMAC-SHA256 ", ""), ("Signature=", "Signature=A"),
])  # fmt: skip
def test_a_signature_is_written_in_one_way(old: str, new: str) -> None:
    request = signed()
    given = request.one("authorization") or ""
    assert old in given
    with pytest.raises(AuthError):
        verify(change(request, "authorization", given.replace(old, new)), KEYS, NOW)


@pytest.mark.parametrize("more", ["#", "#x", "\n", "\t", "?", "?x"])
def test_what_a_url_parser_drops_is_signed_too(more: str) -> None:
    request = signed(query="a=1")
    for other in (replace(request, path=request.path + more), replace(request, path=f"{more}{request.path}"),
                  replace(request, query=request.query + more)):  # fmt: skip
        with pytest.raises(InvalidSignatureError, match=MISMATCH):
            verify(other, KEYS, NOW)


def test_the_host_must_be_signed() -> None:
    headers = {"x-amz-date": STAMP}
    request = Signed("POST", PATH, "", (*headers.items(), ("host", "x"), ("authorization", reference(headers))))
    with pytest.raises(InvalidSignatureError, match="'Host' or ':authority' must be a 'SignedHeader'"):
        verify(request, KEYS, NOW)


ODD = [
    "Sun, 22 Nov 0001 10:00:00 GMT", "Sun, 31 Dec 9999 23:59:59 -1200", "Sun, 40 Nov 2026 10:00:00 GMT", ",",
    "Sun, 22 Nov 999 10:00:00 GMT", "2026112T1100000Z", "20261322T100000Z", "٢٠٢٦1122T100000Z", "", "x" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("date", ODD, ids=range(len(ODD)))
def test_odd_dates_are_refused_and_not_repeated_at_length(date: str) -> None:
    for request in (change(signed(), "x-amz-date", date), change(change(signed(), "x-amz-date", None), "date", date)):
        with pytest.raises(AuthError) as caught:
            verify(request, KEYS, NOW)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["authorization", "x-amz-date", "x-amz-content-sha256"])
def test_what_decides_may_come_once_only(name: str) -> None:
    request = signed({"x-amz-content-sha256": HASH}, BODY)
    again = replace(request, headers=(*request.headers, (name, request.one(name) or "")))
    with pytest.raises(AuthError):
        verify(again, KEYS, NOW)


def test_a_second_host_is_refused() -> None:
    request = signed()
    with pytest.raises(InvalidSignatureError, match=MISMATCH):
        verify(replace(request, headers=(("host", "elsewhere"), *request.headers)), KEYS, NOW)


def test_the_clock_may_differ_by_five_minutes() -> None:
    request, at = signed(), NOW.replace(microsecond=0)
    assert verify(request, KEYS, at + timedelta(minutes=5, microseconds=999_999)) == KEY
    assert verify(request, KEYS, at - timedelta(minutes=5)) == KEY
    with pytest.raises(InvalidSignatureError) as caught:
        verify(request, KEYS, at + timedelta(minutes=5, seconds=1))
    assert str(caught.value) == (
        "Signature expired: 20261122T100000Z is now earlier than 20261122T100001Z (20261122T100501Z - 5 min.)"
    )
    with pytest.raises(InvalidSignatureError) as caught:
        verify(request, KEYS, at - timedelta(minutes=5, seconds=1))
    assert str(caught.value) == (
        "Signature not yet current: 20261122T100000Z is still later than 20261122T095959Z (20261122T095459Z + 5 min.)"
    )


def test_the_clock_may_be_in_any_zone() -> None:
    from zoneinfo import ZoneInfo

    assert verify(signed(), KEYS, NOW.astimezone(ZoneInfo("Asia/Tokyo"))) == KEY


# ---- presigned URLs ----


def presigned(stamp: str = STAMP, expires: str = "60", query: str = "", path: str = "/v1/models") -> Signed:
    names = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{KEY}/{SCOPE}", "X-Amz-Date": stamp,
             "X-Amz-Expires": expires, "X-Amz-SignedHeaders": "host"}  # fmt: skip
    full = "&".join(filter(None, [query, *(f"{k}={quote(v, safe='')}" for k, v in names.items())]))
    signature = reference({"host": "puna"}, path=path, query=full, stamp=stamp, method="GET").rpartition("=")[2]
    return Signed("GET", path, f"{full}&X-Amz-Signature={signature}", (("host", "puna"),))


def test_a_presigned_url_holds_as_long_as_it_says() -> None:
    request, at = presigned(query="b=2&a=%20"), NOW.replace(microsecond=0)
    assert verify(request, KEYS, at + timedelta(seconds=60)) == KEY
    assert verify(request, KEYS, at - timedelta(minutes=5)) == KEY
    with pytest.raises(InvalidSignatureError, match=r"Signature expired: .* \(20261122T100101Z - 1 min\.\)"):
        verify(request, KEYS, at + timedelta(seconds=61))
    with pytest.raises(InvalidSignatureError, match="not yet current"):
        verify(request, KEYS, at - timedelta(seconds=301))


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "99999999", "x", "1.5", "٣"])
def test_a_presigned_url_holds_for_seven_days_at_most(expires: str) -> None:
    assert verify(presigned(expires="604800"), KEYS, NOW) == KEY
    with pytest.raises(IncompleteSignatureError, match="X-Amz-Expires must be a number of seconds from 1 to 604800"):
        verify(presigned(expires=expires), KEYS, NOW)


def test_a_presigned_url_is_refused_without_a_part_or_with_one_twice() -> None:
    request = presigned()
    for pair in request.query.split("&"):
        for query in (request.query.replace(pair, "x=y"), f"{request.query}&{pair}"):
            with pytest.raises(AuthError):
                verify(replace(request, query=query), KEYS, NOW)


@pytest.mark.parametrize(("service", "operation", "arguments"), [("sts", "get_caller_identity", {}),
                                                                 ("iam", "get_role", {"RoleName": "a b"})])  # fmt: skip
def test_boto3_presigned_is_verified(service: str, operation: str, arguments: dict[str, str]) -> None:
    client = boto3.client(service, endpoint_url="http://puna", region_name="eu-west-1", aws_access_key_id=KEY,
                          aws_secret_access_key=SECRET, aws_session_token="session")  # fmt: skip
    for method in ("GET", "POST"):
        url = urlsplit(client.generate_presigned_url(operation, arguments, HttpMethod=method))
        request = Signed(method, url.path, url.query, (("host", url.netloc),))
        assert verify(request, KEYS, datetime.now(UTC)) == KEY
    client.close()


# ---- bearer tokens ----


def bearer(host: str = "sagemaker.amazonaws.com", *, expires: int = 43200, action: str = "CallWithBearerToken", service: str = "sagemaker",
           secret: str = SECRET, session: str | None = None) -> str:  # fmt: skip
    """As ``sagemaker.core.token_generator`` makes it; the same as in shared/sagemaker/clients/openai_client.py."""
    request = AWSRequest(method="POST", url=f"https://{host}/", headers={"host": host}, params={"Action": action})
    SigV4QueryAuth(Credentials(KEY, secret, session), service, "us-east-1", expires=expires).add_auth(request)
    url = request.url.removeprefix("https://") + "&Version=1"
    return "sagemaker-api-key-" + base64.b64encode(url.encode()).decode()


@pytest.mark.parametrize("host", ["sagemaker.amazonaws.com", "sagemaker.eu-west-1.amazonaws.com",
                                  "api.sagemaker.eu-west-1.amazonaws.com", "api.sagemaker.cn-north-1.amazonaws.com.cn"])  # fmt: skip
def test_bearer_tokens_of_the_sagemaker_sdk(host: str) -> None:
    now = datetime.now(UTC)
    for session in (None, "a/+=b"):
        assert verify_token(bearer(host, session=session), KEYS, now) == KEY
    assert verify_token(bearer(host), KEYS, now + timedelta(seconds=43199)) == KEY
    with pytest.raises(InvalidSignatureError, match=r"Signature expired: .* - 720 min\.\)"):
        verify_token(bearer(host), KEYS, now + timedelta(seconds=43210))


TOKENS = {
    "another secret": bearer(secret="wrong"),
    "another action": bearer(action="GetCallerIdentity"),
    "another service": bearer(service="sts"),
    "another host": bearer("sagemaker.example.com"),
    "a host that looks alike": bearer("sagemaker.amazonaws.com.example.com"),
    "too long": bearer(expires=43201),
    "no base64": "sagemaker-api-key-%",
    "nothing": "sagemaker-api-key-",
    "other text": "sagemaker-api-key-" + base64.b64encode(b"\xff&Version=1").decode(),
    "no prefix": bearer().removeprefix("sagemaker-api-key-"),
    "no version": "sagemaker-api-key-" + base64.b64encode(
        base64.b64decode(bearer()[18:]).removesuffix(b"&Version=1")).decode(),
    "more after the signature": "sagemaker-api-key-" + base64.b64encode(
        base64.b64decode(bearer()[18:]).replace(b"&Version=1", b"&x=y&Version=1")).decode(),
}  # fmt: skip


@pytest.mark.parametrize("name", TOKENS)
def test_other_bearer_tokens_are_refused(name: str) -> None:
    with pytest.raises(AuthError):
        verify_token(TOKENS[name], KEYS, datetime.now(UTC))


def test_a_token_is_written_in_one_way() -> None:
    """In the last character before the padding, bits are left over that a decoder ignores."""
    token = next(t for t in (bearer(session="a" * n) for n in range(1, 4)) if t.endswith("=") and not t.endswith("=="))
    assert verify_token(token, KEYS, datetime.now(UTC)) == KEY
    last = token[-2]
    other = f"{token[:-2]}{chr(ord(last) + 1)}="
    assert base64.b64decode(other[18:]) == base64.b64decode(token[18:])
    for wrong in (other, f"{token} ", token.rstrip("="), f"{token[:40]}\n{token[40:]}"):
        with pytest.raises(UnknownKeyError):
            verify_token(wrong, KEYS, datetime.now(UTC))


# ---- one byte of it ----

WHOLE = signed({"content-type": "application/json", "x-amzn-sagemaker-custom-attributes": "a=b", "x-amz-content-sha256": HASH},
               BODY, query="a=1&b=%20&c")  # fmt: skip
PLAIN = signed({"content-type": "application/json"}, BODY, path="/endpoints/llama/invocations")
QUERY = presigned(query="b=2&a=1", path="/endpoints/llama/invocations")
TOKEN = bearer()


def _bytes(request: Signed) -> list[bytes]:
    texts = [request.method, request.path, request.query, *(text for pair in request.headers for text in pair)]
    return [*(text.encode("latin-1") for text in texts), request.body]


def _request(parts: list[bytes]) -> Signed:
    method, path, query, *pairs = (part.decode("latin-1") for part in parts[:-1])
    return Signed(method, path, query, tuple(zip(pairs[::2], pairs[1::2], strict=True)), parts[-1])


@pytest.mark.parametrize("request_", [WHOLE, PLAIN, QUERY], ids=["whole", "plain", "presigned"])
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_byte_can_be_changed(request_: Signed, data: st.DataObject) -> None:
    parts = _bytes(request_)
    assert verify(_request(parts), KEYS, NOW) == KEY
    part = data.draw(st.sampled_from([n for n, part in enumerate(parts) if part]))
    at = data.draw(st.integers(0, len(parts[part]) - 1))
    byte = data.draw(st.integers(0, 255))
    old = parts[part]
    parts[part] = old[:at] + bytes([byte]) + old[at + 1 :]
    # botocore signs methods in capitals; no server lets others in.
    assume(parts[part] != old and parts[0].upper() != old)
    with pytest.raises(AuthError):
        verify(_request(parts), KEYS, NOW)


@settings(max_examples=400, deadline=None)
@given(at=st.integers(0, len(TOKEN) - 1), byte=st.integers(0, 255))
def test_no_byte_of_a_token_can_be_changed(at: int, byte: int) -> None:
    changed = TOKEN[:at] + chr(byte) + TOKEN[at + 1 :]
    assume(changed != TOKEN)
    with pytest.raises(AuthError):
        verify_token(changed, KEYS, datetime.now(UTC))


@settings(max_examples=300, deadline=None)
@given(authorization=st.text(max_size=80) | st.text("AWS4-HMCSH256 credntialSgu=/,;", max_size=80).map("AWS4-HMAC-SHA256 ".__add__),
       query=st.text(max_size=40) | st.text("X-Amz=&%", max_size=40), path=st.text(max_size=20))  # fmt: skip
def test_whatever_comes_is_refused_and_never_breaks(authorization: str, query: str, path: str) -> None:
    for request in (
        Signed("POST", path, query, (("host", "x"), ("x-amz-date", STAMP), ("authorization", authorization))),
        Signed("POST", path, f"X-Amz-Algorithm=AWS4-HMAC-SHA256&{query}", (("host", "x"),)),
        replace(signed(), path=path), replace(signed(), query=query),
    ):  # fmt: skip
        if (request.path, request.query) != (PATH, ""):
            with pytest.raises(AuthError):
                verify(request, KEYS, NOW)
    with pytest.raises(AuthError):
        verify_token(authorization, KEYS, NOW)


def test_the_signers_own_words_are_compared() -> None:
    """That botocore's signer and the reference agree, so that both tell the same."""
    request = AWSRequest("POST", f"http://127.0.0.1:8080{PATH}", {"content-type": "x"}, BODY)
    SigV4Auth(Credentials(KEY, SECRET), "sagemaker", "eu-west-1").add_auth(request)
    headers = {"content-type": "x", "host": "127.0.0.1:8080", "x-amz-date": request.headers["X-Amz-Date"]}
    assert request.headers["Authorization"] == reference(headers, BODY, stamp=request.headers["X-Amz-Date"])


def test_without_botocore_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("botocore"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    require_botocore()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'puna\[aws\]'"):
        require_botocore()

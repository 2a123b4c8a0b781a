"""The guard before a whole endpoint, asked by real clients; how it reads and passes on, in an app of its own."""

from __future__ import annotations

import asyncio
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from starlette.types import Message, Receive, Scope, Send

from puna.errors import InputError
from puna.server.auth import Guard, Proof, SigV4, Token
from puna.server.exchange import Exchanges
from puna.server.invocations import MAX_BODY

from .live import ENDPOINT, WAIT, Hold, Live
from .test_sigv4 import KEY, KEYS, SECRET, bearer

TOKEN = "a-Token_of.puna/+=~"
INVOKE = f"/endpoints/{ENDPOINT}/invocations"
CHAT = {"model": "", "messages": [{"role": "user", "content": "hi"}]}
BODY = {"inputs": "hi"}

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def _guarded() -> Iterator[Live]:
    live = Live(proofs=(SigV4(KEYS), Token(TOKEN)), structured=True)
    yield live
    live.close()


@pytest.fixture
def guarded(_guarded: Live) -> Live:
    """An endpoint that takes either proof."""
    _guarded.reset()
    return _guarded


@pytest.fixture
def boto(guarded: Live) -> Iterator[Make]:
    """boto3's clients by service, with keys that are right or not."""
    made = []

    def make(service: str, key: str = KEY, secret: str = SECRET, session: str | None = None) -> Any:
        made.append(boto3.client(
            service, endpoint_url=guarded.url, region_name="eu-west-1", aws_access_key_id=key, aws_secret_access_key=secret,
            aws_session_token=session, config=Config(retries={"total_max_attempts": 1}, proxies={})))  # fmt: skip
        return made[-1]

    yield make
    for client in made:
        client.close()


def facts(live: Live, request_id: str) -> dict[str, Any]:
    """A request's log line."""
    while True:
        entry = json.loads(live.lines.get(timeout=WAIT))
        if entry["id"] == request_id:
            return dict(entry)


def one_that_left(live: Live) -> dict[str, Any]:
    """The log line of a request whose client went away."""
    while True:
        entry = json.loads(live.lines.get(timeout=WAIT))
        if "client left" in entry["note"]:
            return dict(entry)


def headers_of(url: str, body: bytes, secret: str = SECRET, **more: str) -> dict[str, str]:
    """Headers of a signed POST."""
    request = AWSRequest("POST", url, more, body)
    SigV4Auth(Credentials(KEY, secret), "sagemaker", "eu-west-1").add_auth(request)
    return dict(request.headers.items())


# ---- who may pass ----


def test_boto3_invokes(guarded: Live, boto: Make) -> None:
    runtime = boto("sagemaker-runtime", session="any")
    answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=json.dumps(BODY), ContentType="application/json")
    assert json.loads(answer["Body"].read())
    assert facts(guarded, answer["ResponseMetadata"]["RequestId"])["caller"] == KEY
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName=ENDPOINT, Body=json.dumps({"prompt": "hi"}), ContentType="application/json", Accept="*/*"
    )
    assert b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"]).count(b"\n") == 4


def test_boto3_asks_who_it_is(boto: Make) -> None:
    assert boto("sts").get_caller_identity()["Account"] == "123456789012"
    assert boto("iam").get_role(RoleName="PunaLocalRole")["Role"]["RoleName"] == "PunaLocalRole"


@pytest.mark.parametrize("name", ["a b/../ü~!*'();:@&=+$,?#[]%", "..", "x//y"])
def test_odd_names_are_for_the_endpoint_to_refuse(boto: Make, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        boto("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"{}")
    assert caught.value.response["Error"]["Code"] in {"ValidationError", "UnknownOperationException"}


def test_the_control_plane_answers_the_signed(boto: Make) -> None:
    assert [endpoint["EndpointName"] for endpoint in boto("sagemaker").list_endpoints()["Endpoints"]] == [ENDPOINT]


@pytest.mark.parametrize("token", [TOKEN, bearer()], ids=["token", "of keys"])
@pytest.mark.parametrize("path", [f"/endpoints/{ENDPOINT}/openai/v1/chat/completions", "/v1/chat/completions", INVOKE])
def test_bearer_tokens_pass(guarded: Live, token: str, path: str) -> None:
    answer = guarded.http.post(path, json=CHAT, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    assert facts(guarded, answer.headers["x-amzn-requestid"])["caller"] == ("token" if token == TOKEN else KEY)


def test_a_signed_body_in_chunks(guarded: Live) -> None:
    body = json.dumps(BODY).encode()
    headers = headers_of(f"{guarded.url}{INVOKE}", body, **{"content-type": "application/json"})
    answer = guarded.http.post(INVOKE, content=(body[n : n + 3] for n in range(0, len(body), 3)), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.request.headers["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("path", ["/ping", "/health"])
def test_what_checks_health_has_no_keys(guarded: Live, path: str) -> None:
    assert guarded.http.get(path).status_code == 200
    assert guarded.http.head(path).status_code in {200, 405}
    assert guarded.http.post(path).status_code == 403
    assert guarded.http.get(f"{path}/").status_code == 403
    twice = guarded.raw(f"GET /{path} HTTP/1.1\r\nHost: {guarded.url[7:]}\r\nConnection: close\r\n\r\n".encode())
    assert twice.startswith(b"HTTP/1.1 403 ")


# ---- who may not ----

# service, operation, its arguments; the codes of a wrong secret, an unknown key
REFUSED: list[tuple[str, str, dict[str, str], str, str]] = [
    ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": ENDPOINT, "Body": "{}"}, "InvalidSignatureException",
     "UnrecognizedClientException"),
    ("sagemaker-runtime", "invoke_endpoint_with_response_stream", {"EndpointName": ENDPOINT, "Body": "{}"},
     "InvalidSignatureException", "UnrecognizedClientException"),
    ("sagemaker", "list_endpoints", {}, "InvalidSignatureException", "UnrecognizedClientException"),
    ("sts", "get_caller_identity", {}, "SignatureDoesNotMatch", "InvalidClientTokenId"),
    ("iam", "get_role", {"RoleName": "PunaLocalRole"}, "SignatureDoesNotMatch", "InvalidClientTokenId"),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=[row[1] for row in REFUSED])
def test_boto3_is_told_in_awss_words(guarded: Live, boto: Make, row: tuple[str, str, dict[str, str], str, str]) -> None:
    service, operation, arguments, mismatch, unknown = row
    for client, code, part in (
        (boto(service, secret="wrong"), mismatch, "Check your AWS Secret Access Key and signing method."),
        (boto(service, key="AKIDNOBODY"), unknown, "The security token included in the request is invalid. This endpoint was"),
    ):  # fmt: skip
        with pytest.raises(ClientError) as caught:
            getattr(client, operation)(**arguments)
        answer = caught.value.response
        assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (403, code)
        assert part in answer["Error"]["Message"]
        entry = facts(guarded, answer["ResponseMetadata"]["RequestId"])
        assert (entry["status"], entry["caller"]) == (403, None)
        assert entry["note"].startswith("refused: ")
    assert guarded.speaker.asked == []


@pytest.mark.parametrize("secret", ["wrong", SECRET])
def test_a_large_body_does_not_hide_the_refusal(boto: Make, secret: str) -> None:
    client = boto("sagemaker-runtime", key="AKIDNOBODY", secret=secret)
    for _ in range(2):
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            client.invoke_endpoint(EndpointName=ENDPOINT, Body=b" " * (MAX_BODY - 1))


def test_too_large_a_body_is_refused_as_by_the_endpoint(boto: Make) -> None:
    with pytest.raises(ClientError) as caught:
        boto("sagemaker-runtime").invoke_endpoint(EndpointName=ENDPOINT, Body=b" " * (MAX_BODY + 1))
    answer = caught.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (413, "413")
    assert answer["Error"]["Message"] == f"HTTP content length exceeded {MAX_BODY} bytes."


WANTED = (
    "This endpoint was started with --auth sigv4+token: sign the request with AWS Signature Version 4, as AWS SDKs do, or send a "
    "bearer token as the SageMaker SDK makes it, either by a key that the endpoint was started with (PUNA_AUTH_KEYS), or send the "
    "header 'Authorization: Bearer TOKEN' with the token that the endpoint was started with (PUNA_AUTH_TOKEN)."
)


@pytest.mark.parametrize("path", ["/v1/chat/completions", f"/endpoints/{ENDPOINT}/openai/v1/chat/completions", "/tokenize",
                                  "/v1/nothing"])  # fmt: skip
@pytest.mark.parametrize("proof", ["", "Bearer wrong", "Bearer", "Basic eDp5", f"bearer {bearer(secret='wrong')}"])
def test_refusals_to_openais_clients(guarded: Live, path: str, proof: str) -> None:
    answer = guarded.http.post(path, json=CHAT, headers={"Authorization": proof} if proof else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-request-id"] == answer.headers["x-amzn-requestid"]
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("authentication_error", None, "invalid_api_key")
    assert error["message"].endswith(WANTED) or error["message"].startswith("The request signature we calculated")
    assert guarded.speaker.asked == []


@pytest.mark.parametrize("path", [INVOKE, "/invocations", "/metrics", "/openapi.json", "/receipts/x", "/nothing"])
def test_refusals_elsewhere_are_sagemakers(guarded: Live, path: str) -> None:
    method = "POST" if "invocations" in path else "GET"
    answer = guarded.http.request(method, path)
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")
    assert answer.json() == {"Message": f"Missing Authentication Token. {WANTED}"}
    answer = guarded.http.request(method, path, headers={"Authorization": "Bearer wrong"})
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, "UnrecognizedClientException")


def test_refusals_to_sts_and_iam_are_xml(guarded: Live) -> None:
    answer = guarded.http.post("/", data={"Action": "GetCallerIdentity"})
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/xml; charset=utf-8")
    error = ET.fromstring(answer.text)  # noqa: S314  # of our own making
    names = {"s": "https://sts.amazonaws.com/doc/2011-06-15/"}
    assert error.findtext("s:Error/s:Code", namespaces=names) == "MissingAuthenticationToken"
    assert error.findtext("s:Error/s:Message", namespaces=names) == f"Missing Authentication Token. {WANTED}"
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20261122/eu-west-1/iam/aws4_request"}
    answer = guarded.http.post("/", data={"Action": "GetRole"}, headers=signed)
    assert "<Code>IncompleteSignature</Code>" in answer.text
    assert 'xmlns="https://iam.amazonaws.com/doc/2010-05-08/"' in answer.text


def test_nothing_of_what_came_is_repeated(guarded: Live) -> None:
    for proof in ("Bearer the-secret", "Basic the-secret", "AWS4-HMAC-SHA256 Signature=the-secret"):
        answer = guarded.http.post(INVOKE, json=BODY, headers={"Authorization": proof})
        assert answer.status_code == 403
        assert "the-secret" not in answer.text
        assert "the-secret" not in json.dumps(facts(guarded, answer.headers["x-amzn-requestid"]))


def test_a_kind_of_proof_that_was_not_asked_for_is_none() -> None:
    live = Live(proofs=(Token(TOKEN),))
    try:
        headers = headers_of(f"{live.url}{INVOKE}", b"{}")
        answer = live.http.post(INVOKE, content=b"{}", headers=headers)
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")
        assert "--auth token: send the header 'Authorization: Bearer TOKEN'" in answer.json()["Message"]
        assert live.http.get("/v1/models", headers={"Authorization": f"Bearer {bearer()}"}).status_code == 401
        assert live.http.get("/v1/models", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    finally:
        live.close()


# ---- a client that leaves ----


def signed_bytes(live: Live, path: str, body: bytes, declared: int | None = None) -> bytes:
    headers = headers_of(f"{live.url}{path}", body, **{"content-type": "application/json"})
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {live.url.removeprefix('http://')}",
        f"Content-Length: {declared or len(body)}",
    ]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode() + body


def test_who_leaves_before_the_answer_stops_the_work(guarded: Live) -> None:
    guarded.speaker.script = ["Ein", Hold()]
    with guarded.connect() as sock:
        sock.sendall(signed_bytes(guarded, f"{INVOKE}-response-stream", b'{"prompt": "hi"}'))
        assert guarded.speaker.reached.wait(WAIT)
        assert not guarded.speaker.cleaned.is_set()
    assert guarded.speaker.cleaned.wait(WAIT)
    entry = one_that_left(guarded)
    assert (entry["status"], entry["caller"]) == (200, KEY)


def test_who_leaves_within_the_body_is_logged_as_gone(guarded: Live) -> None:
    with guarded.connect() as sock:
        sock.sendall(signed_bytes(guarded, INVOKE, b'{"prompt": "hi"}', declared=100))
    entry = one_that_left(guarded)
    assert (entry["status"], entry["note"], entry["caller"]) == (499, "client left", None)
    assert guarded.speaker.asked == []


# ---- alone ----


def ask(proofs: tuple[Proof, ...], scope: Scope, coming: list[Message]) -> tuple[list[Message], list[Message], Scope]:
    """What the guard sends, what the app behind it receives in three turns, and the scope."""
    sent: list[Message] = []
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(3):
            received.append(await receive())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def receive() -> Message:
        return coming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    full = {"type": "http", "method": "POST", "path": "/x", "query_string": b"", "headers": [], **scope}
    asyncio.run(Exchanges(Guard(app, proofs), lambda _: None)(full, receive, send))
    return sent, received, full


AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
HEADERS = [(b"host", b"puna"), (b"x-amz-date", b"20261122T100000Z")]
PARTS: list[Message] = [
    {"type": "http.request", "body": b'{"in', "more_body": True},
    {"type": "http.request", "body": b'puts": 1}'},
]
GONE: Message = {"type": "http.disconnect"}


def _scope(body: bytes = b'{"inputs": 1}') -> Scope:
    from .test_sigv4 import reference

    authorization = reference({name.decode(): value.decode() for name, value in HEADERS}, body, path="/x").encode()
    return {"headers": [*HEADERS, (b"authorization", authorization)], "raw_path": b"/x"}


def test_the_app_gets_the_body_once_and_then_what_comes() -> None:
    sigv4 = SigV4(KEYS, clock=lambda: AT)
    sent, received, scope = ask((sigv4,), _scope(), [*PARTS, GONE, GONE])
    assert received == [{"type": "http.request", "body": b'{"inputs": 1}', "more_body": False}, GONE, GONE]
    assert (sent[0]["status"], scope["puna.caller"]) == (204, KEY)


def test_a_token_leaves_the_body_to_the_app() -> None:
    given = {"headers": [(b"authorization", f"Bearer {TOKEN}".encode())]}
    sent, received, scope = ask((Token(TOKEN),), given, [*PARTS, GONE])
    assert received == [*PARTS, GONE]
    assert (sent[0]["status"], scope["puna.caller"]) == (204, "token")


def test_a_body_that_grows_too_large_is_refused() -> None:
    part = {"type": "http.request", "body": b" " * (MAX_BODY // 2), "more_body": True}
    sent, received, _ = ask((SigV4(KEYS, clock=lambda: AT),), _scope(), [part] * 3)
    assert (sent[0]["status"], received) == (413, [])


def test_nothing_of_a_body_is_read_for_who_has_no_key() -> None:
    sent, received, _ = ask((SigV4({"AKIDOTHER": "x"}, clock=lambda: AT),), _scope(), [])
    assert (sent[0]["status"], received) == (403, [])


def test_the_time_is_that_of_the_requests_head() -> None:
    times = iter([AT])
    sent, _, _ = ask((SigV4(KEYS, clock=lambda: next(times)),), _scope(), [*PARTS, GONE, GONE])
    assert sent[0]["status"] == 204


@pytest.mark.parametrize("pair", [(b"authorization", f"Bearer {TOKEN}".encode())] * 2)
def test_two_authorizations_are_none(pair: tuple[bytes, bytes]) -> None:
    sent, received, _ = ask((SigV4(KEYS), Token(TOKEN)), {"headers": [pair, pair]}, [])
    assert (sent[0]["status"], received) == (403, [])


def test_a_websocket_is_refused_and_what_is_no_request_passes() -> None:
    sent, received, _ = ask((Token(TOKEN),), {"type": "websocket", "path": "/ping"}, [{"type": "websocket.connect"}])
    assert ([message["type"] for message in sent], received) == (["websocket.close"], [])
    _, received, _ = ask((Token(TOKEN),), {"type": "lifespan"}, [GONE] * 3)
    assert len(received) == 3


@pytest.mark.parametrize("token", ["", " ", "a b", "ü", "x\n"])
def test_a_token_must_fit_in_a_header(token: str) -> None:
    with pytest.raises(InputError, match="bearer token"):
        Token(token)


@pytest.mark.parametrize("keys", [{}, {"": "x"}, {"x": ""}])
def test_keys_must_be_given(keys: dict[str, str]) -> None:
    with pytest.raises(InputError, match="at least one access key id"):
        SigV4(keys)


def test_a_proof_does_not_show_its_secret() -> None:
    assert SECRET not in repr(SigV4(KEYS))
    assert TOKEN not in repr(Token(TOKEN))


def test_httpx_reads_a_refusal_in_mid_upload(guarded: Live) -> None:
    def slow() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    with httpx.Client(base_url=guarded.url, timeout=WAIT, trust_env=False) as http:
        assert http.post(INVOKE, content=slow()).status_code == 403

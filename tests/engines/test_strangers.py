"""What is not there, or is not what was expected: each in a sentence of its own, within its time."""

from __future__ import annotations

import asyncio
import re
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from puna.engines.remote import checked, client
from puna.engines.retry import Retrying
from puna.engines.sagemaker import SageMaker
from puna.engines.strangers import beginning, lost, retry_after, stranger
from puna.engines.timeouts import Timeouts
from puna.errors import EndpointError, EngineError, InputError, RefusedError, UnreachableError
from puna.generation import Delta, Extras, Kind, Prompt, Sampling, Segment
from tests.engines.openai_server import whole
from tests.engines.strange import CERTIFICATES, Forever, Hang, strange

TEXT = Prompt((Segment(Kind.CONTENT, "Hi"),))
NO_HEALTH: list = [whole(404, {"message": "no such route"})]
LINES = b"HTTP/1.1 200 OK\r\nContent-Type: application/jsonlines\r\nConnection: close\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
QUICK = Timeouts(connect=5, first=20, between=0.2)


async def answered(url, dialect="workshop", timeouts=QUICK, sampling=None):
    """The text of an answer, and how it broke off."""
    engine, said = SageMaker(url, "e", dialect=dialect, timeouts=timeouts), ""
    try:
        await engine.start()
        async for event in engine.stream(TEXT, sampling or Sampling(), Extras()):
            said += event.text if isinstance(event, Delta) else ""
    except EngineError as error:
        return said, error
    finally:
        await engine.close()
    return said, None


def asked(*connections, certificate=None, listens=True, **options):
    async def scenario():
        async with strange(*connections, certificate=certificate, listens=listens) as url:
            return await answered(options.pop("scheme", lambda u: u)(url), **options)

    return asyncio.run(scenario())


# ---- no connection


def test_where_nobody_listens():
    _, error = asyncio.run(answered("http://127.0.0.1:9"))
    assert isinstance(error, UnreachableError)
    assert str(error) == "http://127.0.0.1:9 does not answer (All connection attempts failed); is it up?"


def test_a_host_that_nobody_knows():
    error = httpx.ConnectError("[Errno -2] Name or service not known")
    error.__cause__ = socket.gaierror(-2, "Name or service not known")
    told = lost("http://no-such-host.invalid", error, UnreachableError)
    assert isinstance(told, UnreachableError)
    assert "has a host name that nobody knows" in str(told)


def test_a_connection_that_is_not_made_in_time():
    told = lost("http://h", httpx.ConnectTimeout(""), UnreachableError, Timeouts(connect=3))
    assert str(told).startswith("http://h could not be connected to within 3 s (time-out 'connect')")
    told = lost("http://h", httpx.ReadTimeout(""), EndpointError, Timeouts(first=3, between=2))
    assert str(told) == "http://h said nothing for 3 s; is it up, and not busy?"


@pytest.mark.parametrize(
    "url", ["", "h:80", "ftp://h", "http://", "http://h:99999", "http://h:x", "https:///path", "http://[::1"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(InputError, match="--url must"):
        checked(url)


# ---- TLS


@pytest.mark.parametrize(
    ("certificate", "trusted", "part"),
    [
        ("other-host.pem", None, "has a certificate that nobody vouches for (self-signed); if you trust that server"),
        ("other-host.pem", "other-host.pem", "has a certificate for another host (IP address mismatch"),
        ("expired.pem", "expired.pem", "has a certificate that does not hold now (expired, or not valid yet)"),
    ],
)
def test_certificates(certificate, trusted, part, monkeypatch):
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / trusted))
    _, error = asked([b""], certificate=certificate)
    assert part in str(error)
    assert type(error) is EndpointError  # which no second try would mend


def test_https_where_http_is_spoken():
    _, error = asked(
        [b"HTTP/1.1 400 Bad Request\r\n\r\n"], listens=False, scheme=lambda url: url.replace("http:", "https:")
    )
    assert "does not speak TLS at that port; is the port right, and should it be http://?" in str(error)


@pytest.mark.parametrize(
    ("acts", "listens", "part"),
    [
        ([b""], False, "could not agree on TLS"),
        ([Hang()], True, "(time-out 'connect'); is the address right, and is the server up"),
    ],
)
def test_https_where_something_else_is_spoken(acts, listens, part):
    quick = Timeouts(connect=0.5, first=5, between=5)
    _, error = asked(acts, listens=listens, timeouts=quick, scheme=lambda url: url.replace("http:", "https:"))
    assert part in str(error)
    assert "http://" in str(error)


def test_an_answer_about_a_server_on_a_tls_port_is_no_refusal_of_tls():
    """Only what is refused: the text of an answer may speak of it."""
    assert stranger("http://h", answer(200), b'{"outputs": ["an HTTP request to an HTTPS server"]}') is None


def test_http_where_https_is_spoken():
    _, error = asked([b""], certificate="other-host.pem", scheme=lambda url: url.replace("https:", "http:"))
    assert "is it up, or is it https:// that it speaks there?" in str(error)
    page = whole(400, b"<html><title>400</title>The plain HTTP request was sent to HTTPS port</html>", "text/html")
    _, error = asked(NO_HEALTH, [page])
    assert "speaks TLS at that port; write https://" in str(error)


def test_a_file_of_certificates_that_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(InputError, match="that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read"):
        client("https://h")


# ---- something else


@pytest.mark.parametrize(
    ("acts", "part"),
    [
        ([b"SSH-2.0-OpenSSH_9\r\n\r\n"], "answered, but not by HTTP (illegal status line"),
        ([b""], "does not answer (Server disconnected without sending a response.)"),
        (
            [b"HTTP/1.1 301 Moved\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n"],
            "sends its callers on to 'http://other/' (301)",
        ),
        (
            [whole(200, b"<!DOCTYPE html><title>Sign in</title>", "text/html")],
            "answered with a web page (200: 'Sign in'), not with JSON",
        ),
        ([whole(200, b"  <HTML>hello", "application/json")], "answered with a web page (200), not with JSON"),
        (
            [whole(503, b"<html><title>Down</title>", "text/html")],
            "answered with a web page (503: 'Down'), not with JSON",
        ),
        (
            [whole(200, b"Hello, world", "text/plain")],
            "must be JSON, but Expecting value at line 1, column 1; it begins 'Hello, world'",
        ),
        (
            [whole(200, {"object": "list", "data": []})],
            "one of the known dialects, but it is {'data': [], 'object': 'list'}",
        ),
        (
            [whole(200, b"\x00" * 100, "application/vnd.amazon.eventstream")],
            "an AWS event-stream frame was expected at byte 0",
        ),
        ([LINES, b'{"outputs": ["a"]}\n{"outp'], "line 2 of the stream must be JSON"),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b'{"outputs": ["a"]}\n'],
            "broke the answer off (peer closed connection",
        ),
    ],
)
def test_a_server_that_is_not_what_it_says(acts, part):
    _, error = asked(NO_HEALTH, acts)
    assert part in str(error)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 413, 429, 500, 502, 503, 504])
def test_a_refusal_has_its_status_and_its_sentence(status):
    head = f"HTTP/1.1 {status} X\r\nRetry-After: 7\r\nContent-Length: 21\r\n\r\n".encode()
    _, error = asked(NO_HEALTH, [head, b'{"message": "no way"}'])
    assert isinstance(error, RefusedError)
    assert (error.status, error.retry_after) == (status, 7.0)
    assert f"({status}): no way" in str(error)


@pytest.mark.parametrize(
    ("acts", "part"),
    [
        ([b"HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n"], "answered with status 302 (Found), which sends its callers elsewhere without saying where to"),
        ([b"HTTP/1.1 204 X\r\n\r\n"], "answered with status 204 (No Content), where 200 and an answer in JSON was expected"),
        ([whole(999, b"no")], "answered with status 999, which HTTP does not have"),
        ([b"\x15\x03\x01\x00\x02\x02\x46"], "answered, but not by HTTP (illegal request line); is the port right, and should it be https://?"),
        ([b"HTTP/1.1 429 X\r\nRetry-After: 3600\r\nContent-Length: 2\r\n\r\n{}"], "it wants to be asked again in 3600 s, not before"),
        ([whole(429, b"<html>", "text/html").replace(b"Conn", b"Retry-After: 3600\r\nConn")], "it wants to be asked again in 3600 s, not before"),
        ([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", b"rubbish"], "says that its answer is gzip, but it is not"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_says_what_it_is(acts, part):
    _, error = asked(NO_HEALTH, acts)
    assert part in str(error)


@pytest.mark.parametrize("dialect", ["workshop", "auto"])
@pytest.mark.parametrize(
    "acts",
    [
        [whole(200, b"Hello", "text/plain")],
        [whole(200, {"object": "list"})],
        [whole(200, b"\x00" * 100, "application/vnd.amazon.eventstream")],
        [LINES, b'{"outp'],
        [EVENTS, b"data: nothing\n\n"],
        [LINES, b'{"error": "out of memory"}\n'],
    ],
)
def test_what_is_no_answer_is_said_of_the_endpoint_that_sent_it(acts, dialect):
    _, error = asked(NO_HEALTH, acts, dialect=dialect)
    assert re.match(r"endpoint 'e' at http://127\.0\.0\.1:\d+: ", str(error))


def test_nobody_waits_an_hour_for_a_server_that_asks_for_it():
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    async def scenario():
        busy = b"HTTP/1.1 429 X\r\nRetry-After: 3600\r\nContent-Length: 2\r\n\r\n{}"
        async with strange(NO_HEALTH, [busy]) as url:
            engine = Retrying(SageMaker(url, "e", dialect="workshop"), retries=2, sleep=sleep)
            await engine.start()
            try:
                async for _ in engine.stream(TEXT, Sampling(), Extras()):
                    pass
            finally:
                await engine.close()

    with pytest.raises(RefusedError, match="it wants to be asked again in 3600 s"):
        asyncio.run(scenario())
    assert waited == []


# ---- what does not end


@pytest.mark.parametrize(
    ("acts", "dialect", "part", "said"),
    [
        ([LINES, b'{"outputs": ["a"]}\n', Hang()], "workshop", "said nothing for 0.2 s (time-out 'between')", "a"),
        ([LINES, b'{"outputs": ["a"]}\n', Forever(b"\n")], "workshop", "said nothing for 0.2 s (time-out 'between')", "a"),
        ([LINES, b'{"outputs": ["a"]}\n{"outputs": ["', Forever(b"x" * 65536)], "workshop", "line 2 of the stream is longer", "a"),
        ([LINES, Forever(b'{"outputs": ["on and on "]}\n' * 100)], "workshop", "goes on and on", None),
        ([EVENTS, b'data: {"choices": [{"text": "a"}]}\n\n', Forever(b": ping\n\n")], "completion", "(time-out 'between')", "a"),
        ([EVENTS, b'data: {"choices": [{"text": "a"}]}\n\ndata: ', Forever(b"x" * 65536)], "completion", "is longer than 8388608 bytes", "a"),
        ([EVENTS, b'data: {"choices": [{"text": "a"}]}\n\n', Forever(b'data: {"choices": []}\n\n')], "completion", "(time-out 'between')", "a"),
        ([b"HTTP/1.1 404 X\r\n\r\n", Forever(b"x" * 65536)], "workshop", "(404): xxx", ""),
    ],
)  # fmt: skip
def test_a_stream_that_stalls_or_never_ends_is_ended(acts, dialect, part, said):
    # What is only bytes may take the machine its time; what stalls is told by the time-out between.
    patient = Timeouts(first=60, between=60) if "longer" in part or "on and on" in part else QUICK
    came, error = asked(NO_HEALTH, acts, dialect=dialect, timeouts=patient, sampling=Sampling(max_tokens=100))
    assert part in str(error)
    assert isinstance(error, EndpointError)
    assert said is None or came == said


@pytest.mark.parametrize("acts", [[Hang()], [LINES, Hang()], [EVENTS, Forever(b": ping\n\n")]])
def test_an_answer_that_never_begins(acts):
    said, error = asked(NO_HEALTH, acts, dialect="completion", timeouts=Timeouts(first=0.3))
    assert (said, type(error)) == ("", EndpointError)
    assert "began no answer within 0.3 s (time-out 'first')" in str(error)


def test_an_endless_answer_to_a_question_is_cut():
    _, error = asked([b"HTTP/1.1 200 OK\r\n\r\n", Forever(b"x" * 65536)], [whole(200, {"outputs": ["a"]})])
    assert error is None


# ---- whether it is there


@pytest.mark.parametrize(
    ("acts", "there"),
    [
        ([whole(200, b"")], True),
        ([whole(404, b"")], True),
        ([whole(403, b"")], True),
        ([whole(503, b"")], False),
        ([whole(502, b"")], False),
        ([b""], False),
        ([b"HTTP/1.1 200 OK\r\n\r\n", Forever(b"x")], True),
    ],
)
def test_whether_something_is_there(acts, there):
    async def scenario():
        async with strange(NO_HEALTH, acts) as url:
            engine = SageMaker(url, "e", dialect="workshop")
            assert not await engine.reachable()  # not started
            await engine.start()
            found = await engine.reachable()
            await engine.close()
            return found

    assert asyncio.run(scenario()) is there


def test_what_says_nothing_is_not_there(monkeypatch):
    monkeypatch.setattr("puna.engines.remote.REACH_SECONDS", 0.1)

    async def scenario():
        async with strange(NO_HEALTH, [Hang()]) as url:
            engine = SageMaker(url, "e", dialect="workshop")
            await engine.start()
            found = await engine.reachable()
            await engine.close()
            return found

    assert asyncio.run(scenario()) is False


# ---- the pieces


def answer(status=200, content=b"", **headers):
    return httpx.Response(
        status, content=content, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def test_what_may_be_an_api_is_no_stranger():
    assert stranger("http://h", answer(400, content_type="application/json"), b"{}") is None


@pytest.mark.parametrize(
    ("given", "seconds"), [("7", 7.0), ("0.5", 0.5), (" 3 ", 3.0), ("", None), ("soon", None), ("-1", None), ("1e9", None), ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0), ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None)]
)  # fmt: skip
def test_when_it_wants_to_be_asked_again(given, seconds):
    assert retry_after(answer(retry_after=given)) == seconds


def test_a_date_to_come_is_as_far_as_it_is():
    at = datetime.now(UTC) + timedelta(hours=1)
    assert 3500 < (retry_after(answer(retry_after=format_datetime(at, usegmt=True))) or 0) <= 3600
    assert retry_after(answer()) is None


def test_only_the_beginning_is_read():
    sent = httpx.Response(200, stream=httpx.ByteStream(b"x" * 100), request=httpx.Request("GET", "http://h"))
    body = asyncio.run(beginning(sent, 10))
    assert body == b"x" * 10

"""Faults on purpose: what the file asks for, what strikes whom, and what real clients make of it."""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import boto3
import botocore.endpoint
import pytest
import urllib3.exceptions
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError, ReadTimeoutError, ResponseStreamingError
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from urllib3.exceptions import ProtocolError

from puna.errors import EngineBusyError, InputError, PunaError
from puna.server import aws, fault_plan, fault_streams
from puna.server.fault_plan import KINDS, ROUTES, Fault
from puna.server.fault_streams import Cutter, Ending, Splitting
from puna.server.faults import ContainerFault, Faults, StreamFault, Strike
from puna.wire import eventstream

WAIT = 10
PAGE = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
RECORDS = [json.dumps({"outputs": [f" wörd{n}"]}, ensure_ascii=False).encode() + b"\n" for n in range(6)]


def always(kind: str, **more: Any) -> Fault:
    """A fault that strikes every request."""
    return Fault(kind, **{"routes": KINDS[kind].routes, "every": 1, **KINDS[kind].keys, **more})


def read(path: Path, text: str) -> Faults:
    path.write_text(text, encoding="utf-8")
    return Faults.read(path)


async def told(records: AsyncGenerator[bytes, None]) -> tuple[list[bytes], Exception | None]:
    """The records, and how they ended."""
    found: list[bytes] = []
    try:
        async with aclosing(records):
            async for record in records:
                found.append(record)
    except PunaError as error:
        return found, error
    return found, None


async def source(records: list[bytes], closed: Callable[[], None] = lambda: None) -> AsyncGenerator[bytes, None]:
    try:
        for record in records:
            yield record
    finally:
        # An engine's cleanup waits, too.
        await asyncio.sleep(0)
        closed()


async def nowhere(message: Message) -> None:
    """An ASGI send."""


def struck(*faults: Fault, records: list[bytes] = RECORDS) -> tuple[list[bytes], Exception | None]:
    return asyncio.run(told(Faults(faults).pick("stream").records(source(records))))


# ---- the file


def test_the_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    faults = read(tmp_path / "faults.toml", example)
    assert [fault.kind for fault in faults.plan] == re.findall(r'kind = "(.*)"', example)
    assert faults.plan[1] == Fault("throttle", ROUTES, nth=3)
    assert faults.plan[2] == Fault("stream-broken", ("stream", "container", "openai"), every=10, after=2)


def rows(section: str) -> dict[str, list[str]]:
    """Of the table in a section of the documentation, by kind."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return {line[0].strip(" `"): [cell.strip() for cell in line[1:]] for line in lines}


def test_the_documentation_has_every_kind_with_its_routes_and_keys() -> None:
    assert rows("Kinds").keys() == rows("What a client sees").keys() == KINDS.keys()
    for name, (routes, keys, _) in rows("Kinds").items():
        kind = KINDS[name]
        assert tuple(re.findall(r"`([a-z]+)`", routes)) == (() if kind.routes == ROUTES else kind.routes), name
        assert tuple(re.findall(r"`([a-z]+)`", keys)) == tuple(kind.keys), name
        for key in kind.keys.keys() - {"body"}:
            assert f"`{key}` {kind.keys[key]:g}" in keys, name
    assert f"`{KINDS['model-error'].keys['body']}`" in PAGE


def test_the_documentation_has_every_key_with_its_range() -> None:
    found = rows("The file")
    assert found.keys() == {
        "seed",
        "kind",
        "probability",
        "nth",
        "every",
        "route",
        *(k for kind in KINDS.values() for k in kind.keys),
    }
    for name, (low, high) in {**fault_plan._WHOLE, **fault_plan._REAL}.items():
        assert found[name][1] == f"{low} to {high}".replace(str(2**63 - 1), "2^63 - 1"), name


REFUSED = [
    ("seeds = 1", "unknown key 'seeds'. Did you mean 'seed'?"),
    ("seed = 1", "at least one fault was expected"),
    ("fault = 3", "at least one fault was expected"),
    ("seed = true\n[[fault]]", "seed must be a whole number from 0 to"),
    ("[[fault]]\nnth = 1", "fault 1: a kind was expected; known: cut, "),
    ('[[fault]]\nkind = "spilt"', "unknown kind 'spilt'. Did you mean 'split'?"),
    ("[[fault]]\nkind = 7", "unknown kind '7'"),
    ('[[fault]]\nkind = "split"', "exactly one of probability, nth and every was expected, but none came"),
    ('[[fault]]\nkind = "split"\nnth = 1\nevery = 2', "but nth and every came"),
    (
        '[[fault]]\nkind = "late"\nnth = 1\nsize = 3',
        "unknown key 'size'. Known: every, kind, nth, probability, route, seconds",
    ),
    ('[[fault]]\nkind = "late"\nnth = 1\nroute = "batch"', "unknown route 'batch'"),
    (
        '[[fault]]\nkind = "parts"\nnth = 1\nroute = "invoke"',
        "on the route 'invoke' there is no such fault; it can strike on stream",
    ),
    ('[[fault]]\nkind = "late"\nnth = 0', "nth must be a whole number from 1 to"),
    ('[[fault]]\nkind = "late"\nnth = 1.0', "nth must be a whole number from 1 to 1000000000, not 1.0"),
    ('[[fault]]\nkind = "late"\nprobability = 1.5', "probability must be a number from 0 to 1, not 1.5"),
    ('[[fault]]\nkind = "late"\nprobability = nan', "probability must be a number from 0 to 1, not nan"),
    ('[[fault]]\nkind = "late"\nnth = 1\nseconds = "5"', "seconds must be a number from 0 to 3600, not '5'"),
    (
        '[[fault]]\nkind = "model-error"\nnth = 1\nstatus = 200',
        "status must be a whole number from 400 to 599, not 200",
    ),
    ('[[fault]]\nkind = "model-error"\nnth = 1\nbody = 5', "body must be a text, not 5"),
    ('[[fault]]\nkind = "stream-broken"\nnth = 1\nafter = 0', "after must be at least 1, not 0"),
    ("[[fault]\n", "must be a TOML file, but: "),
    ("seed = 1" + "0" * 5000, "must be a TOML file, but: "),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_a_wrong_file_is_refused_with_its_place_and_a_way_out(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path / "faults.toml", text)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none.toml: No such file"):
        Faults.read(tmp_path / "none.toml")


def test_a_body_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faults.toml").write_bytes(b"\xff")
    with pytest.raises(InputError, match="must be a TOML file"):
        Faults.read(tmp_path / "faults.toml")


# ---- chance


def names(faults: Faults, count: int, route: str = "stream") -> list[tuple[str, ...]]:
    return [faults.pick(route).names for _ in range(count)]


def test_without_faults_nothing_is_touched() -> None:
    strike = Faults().pick("stream")
    records = source(RECORDS)
    assert (bool(Faults()), bool(strike), strike.names) == (False, False, ())
    assert strike.records(records) is records
    assert strike.send(nowhere) is nowhere
    asyncio.run(strike.before())


def test_nth_strikes_once_and_every_again_and_again() -> None:
    faults = Faults([always("late", every=0, nth=2), always("slow", every=3)])
    assert names(faults, 6) == [(), ("late",), ("slow",), (), (), ("slow",)]


def test_only_requests_that_a_fault_could_strike_are_counted() -> None:
    faults = Faults([always("late", every=0, nth=2, routes=("openai",))])
    assert [faults.pick(route).names for route in ("openai", "stream", "invoke", "openai")] == [(), (), (), ("late",)]


def test_probability_is_a_share_and_the_seed_decides_who() -> None:
    plan = [always("late", every=0, probability=0.25), always("slow", every=0, probability=0.25)]
    first, again, other = names(Faults(plan, 7), 2000), names(Faults(plan, 7), 2000), names(Faults(plan, 8), 2000)
    assert first == again != other
    for kind in ("late", "slow"):
        assert 400 < sum(kind in entry for entry in first) < 600
    assert 80 < first.count(("late", "slow")) < 170, "faults have dice of their own"
    assert not any(names(Faults([always("late", every=0, probability=0.0)]), 100))
    assert all(names(Faults([always("late", every=0, probability=1.0)]), 100))


def test_the_same_requests_are_struck_in_the_same_places() -> None:
    """Also where requests overlap: each strike has dice of its own."""

    def pieces(strikes: list[Strike]) -> list[list[bytes]]:
        return [asyncio.run(told(strike.records(source(RECORDS))))[0] for strike in strikes]

    first, second = Faults([always("parts")], 7), Faults([always("parts")], 7)
    here = pieces([first.pick("stream") for _ in range(3)])
    there = pieces([second.pick("stream") for _ in range(3)][::-1])[::-1]
    assert here == there
    assert here[0] != here[1]


def test_of_several_that_end_a_request_the_first_does() -> None:
    def together(*kinds: str) -> tuple[str, ...]:
        return Faults([always(kind) for kind in kinds]).pick("stream").names

    assert together("slow", "late", "split") == ("slow", "late", "split")
    assert together("slow", "late", "throttle", "late", "split", "cut") == ("late", "throttle")
    assert together("no-newline", "drop", "split", "throttle", "stream-broken") == ("drop", "split")


# ---- before


REFUSALS = {
    "throttle": (429, "ThrottlingException", "Rate exceeded"),
    "not-ready": (429, "ModelNotReadyException", "Either a serverless endpoint"),
    "unavailable": (503, "ServiceUnavailable", "The service is unavailable"),
    "internal": (500, "InternalFailure", "An internal failure occurred"),
    "time-out": (424, "ModelError", "Your invocation timed out while waiting"),
    "model-error": (424, "ModelError", '{"code": 500'),
}


def test_every_refusal_has_its_row() -> None:
    assert {name for name, kind in KINDS.items() if kind.refuses} == REFUSALS.keys()


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_an_error_as_the_service_has_it(kind: str) -> None:
    status, code, sentence = REFUSALS[kind]
    with pytest.raises(PunaError) as caught:
        asyncio.run(Faults([always(kind)]).pick("invoke").before())
    assert (caught.value.status, caught.value.code) == (status, code)
    assert str(caught.value).startswith(sentence)


def test_the_container_has_a_status_and_a_body_of_its_own() -> None:
    with pytest.raises(ContainerFault) as caught:
        asyncio.run(Faults([always("model-error", status=418, body="kännchen")]).pick("container").before())
    assert (caught.value.container_status, caught.value.container_body) == (418, "kännchen".encode())
    with pytest.raises(ContainerFault) as empty:
        asyncio.run(Faults([always("model-error", status=502, body="")]).pick("container").before())
    assert (empty.value.container_body, str(empty.value)) == (b"", "the container answered 502 without a body")


def test_waiting_is_before_refusing() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    faults = Faults([always("late", seconds=2.5), always("late", seconds=1), always("time-out", seconds=60)], 0, sleep)
    with pytest.raises(ContainerFault):
        asyncio.run(faults.pick("invoke").before())
    assert slept == [2.5, 1, 60]


def test_a_wait_can_be_cancelled() -> None:
    async def waits() -> None:
        async with asyncio.timeout(0.01):
            await Faults([always("late", seconds=3600)]).pick("invoke").before()

    with pytest.raises(TimeoutError):
        asyncio.run(waits())


# ---- records


def test_slow_waits_before_each_record_beyond_the_first_ones() -> None:
    seen: list[object] = []

    async def sleep(seconds: float) -> None:
        seen.append(seconds)

    async def run() -> None:
        strike = Faults([always("slow", after=4, seconds=0.25)], 0, sleep).pick("stream")
        async for record in strike.records(source(RECORDS)):
            seen.append(record)

    asyncio.run(run())
    assert seen == [*RECORDS[:4], 0.25, RECORDS[4], 0.25, RECORDS[5]]


@pytest.mark.parametrize(("after", "at"), [(0, 0), (2, 2), (5, 5), (99, 5)])
def test_malformed_leaves_one_record_that_is_no_json(after: int, at: int) -> None:
    records, error = struck(always("malformed", after=after))
    assert error is None
    assert [n for n, record in enumerate(records) if record != RECORDS[n]] == [at]
    assert records[at].endswith(b"\n")
    with pytest.raises(json.JSONDecodeError):
        json.loads(records[at])


def test_malformed_keeps_the_frame_of_a_server_sent_event() -> None:
    records, _ = struck(always("malformed", after=0), records=[b'data: {"a": [1]}\n\n'])
    assert records == [b'data: {"a": [1]\n\n']


@pytest.mark.parametrize("end", [b"\n", b"\n\n", b"\r\n"])
def test_no_newline_takes_the_last_one_only(end: bytes) -> None:
    records, _ = struck(always("no-newline"), records=[b"{}" + end, b"[]" + end])
    assert records == [b"{}" + end, b"[]"]


BREAKS = {
    "stream-broken": "StreamBroken",
    "stream-time-out": "ModelInvocationTimeExceeded",
    "internal-stream-failure": "",
}


@pytest.mark.parametrize("kind", BREAKS)
@pytest.mark.parametrize(("after", "passed"), [(1, 1), (4, 4), (6, 6), (99, 6)])
def test_a_stream_breaks_after_some_records_and_at_its_end_at_the_latest(kind: str, after: int, passed: int) -> None:
    records, error = struck(always(kind, after=after))
    assert records == RECORDS[:passed]
    assert isinstance(error, StreamFault)
    assert error.error_code == BREAKS[kind]


def test_several_faults_strike_one_answer() -> None:
    records, error = struck(always("malformed", after=1), always("parts", size=5), always("stream-broken", after=3))
    assert max(map(len, records)) <= 5
    assert b"".join(records) == RECORDS[0] + RECORDS[1][:-2] + b"\n" + RECORDS[2], (
        "what was there before the break is told"
    )
    assert isinstance(error, StreamFault)


@pytest.mark.parametrize("kind", ["slow", "malformed", "no-newline", "parts"])
def test_an_error_of_the_engine_comes_through_after_all_that_was_said(kind: str) -> None:
    async def fails() -> AsyncGenerator[bytes, None]:
        for record in RECORDS[:3]:
            yield record
        raise EngineBusyError("no")

    strike = Faults(
        [always(kind, **({"seconds": 0} if kind == "slow" else {}), **({"after": 9} if kind == "malformed" else {}))]
    )
    records, error = asyncio.run(told(strike.pick("stream").records(fails())))
    assert b"".join(records) == b"".join(RECORDS[:3])
    assert isinstance(error, EngineBusyError)


@pytest.mark.parametrize("kind", ["slow", "malformed", "no-newline", "parts", "stream-broken"])
def test_closing_an_answer_closes_the_work_behind_it(kind: str) -> None:
    closed: list[bool] = []

    async def leaves() -> None:
        strike = Faults([always(kind)]).pick("stream")
        records = strike.records(source(RECORDS, lambda: closed.append(True)))
        async with aclosing(records):
            await anext(records)
        # Not when the garbage is collected: now.
        assert closed == [True]

    asyncio.run(leaves())


def test_the_work_has_ended_before_a_break_is_told() -> None:
    closed: list[bool] = []

    async def breaks() -> None:
        records = Faults([always("stream-broken")]).pick("stream").records(source(RECORDS, lambda: closed.append(True)))
        with pytest.raises(StreamFault):
            async for _ in records:
                assert not closed
        assert closed

    asyncio.run(breaks())


# ---- pieces

CHUNKS = st.lists(st.binary(max_size=40), max_size=8)
SIZES = st.integers(1, 50)


def dice(seed: int) -> random.Random:
    return random.Random(seed)


def sent(wrap: Callable[[Send], Send], chunks: list[bytes], last: bytes = b"") -> list[Message]:
    found: list[Message] = []

    async def send(message: Message) -> None:
        found.append(message)

    async def run() -> None:
        wrapped = wrap(send)
        await wrapped(
            {"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"9"), (b"a", b"b")]}
        )
        for chunk in chunks:
            await wrapped({"type": "http.response.body", "body": chunk, "more_body": True})
        await wrapped({"type": "http.response.body", "body": last})

    try:
        asyncio.run(run())
    except StreamFault:
        found.append({"type": "raised"})
    return found


def body_of(messages: list[Message]) -> bytes:
    return b"".join(message["body"] for message in messages if message["type"] == "http.response.body")


@given(CHUNKS, st.binary(max_size=40), SIZES, st.integers())
def test_split_never_changes_the_bytes(chunks: list[bytes], last: bytes, size: int, seed: int) -> None:
    messages = sent(lambda send: Splitting(send, Cutter(size, dice(seed))), chunks, last)
    bodies = messages[1:]
    assert body_of(messages) == b"".join((*chunks, last))
    assert all(0 < len(message["body"]) <= size for message in bodies[:-1])
    assert len(bodies[-1]["body"]) <= size
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]


@given(CHUNKS, SIZES, st.integers())
def test_parts_never_change_the_bytes(chunks: list[bytes], size: int, seed: int) -> None:
    pieces, _ = asyncio.run(told(fault_streams.scattered(source(chunks), Cutter(size, dice(seed)))))
    assert b"".join(pieces) == b"".join(chunks)
    assert all(0 < len(piece) <= size for piece in pieces)


@settings(deadline=None)
@given(CHUNKS, st.integers(0, 9), st.integers(), st.booleans())
def test_an_end_in_the_middle_leaves_a_beginning(chunks: list[bytes], after: int, seed: int, clean: bool) -> None:
    error = StreamFault("StreamBroken", "cut")
    messages = sent(lambda send: Ending(send, after, dice(seed), error, clean=clean), chunks)
    whole, found, full = b"".join(chunks), body_of(messages), [chunk for chunk in chunks if chunk]
    assert whole.startswith(found)
    assert b"".join(full[:after]).startswith(found) or found.startswith(b"".join(full[:after]))
    if whole:
        assert len(found) < len(whole)
    bodies = [message for message in messages if message["type"] == "http.response.body"]
    ends = [message for message in bodies if not message.get("more_body", False)]
    assert ends == (bodies[-1:] if clean else []), "nothing comes after the end, and an open body has none"
    assert (messages[-1]["type"] == "raised") == (len(full) > after)


@pytest.mark.parametrize("clean", [True, False])
def test_a_whole_answer_is_cut_too(clean: bool) -> None:
    error = StreamFault("StreamBroken", "cut")
    messages = sent(lambda send: Ending(send, 1, dice(1), error, clean=clean), [], b'{"a": 1}\n')
    assert 0 < len(body_of(messages)) < len(b'{"a": 1}')
    headers = [(b"a", b"b")] if clean else [(b"Content-Length", b"9"), (b"a", b"b")]
    assert messages[0]["headers"] == headers, "a shorter body ends cleanly only without its length"


# ---- real clients


class Server:
    """uvicorn around the faults, with an app that is as small as it can be."""

    def __init__(self) -> None:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.bind(("127.0.0.1", 0))
        self.address = bound.getsockname()
        self.faults = Faults()
        self.freed = threading.Event()
        self.hangs = False
        config = uvicorn.Config(self.app, interface="asgi3", log_config=None, access_log=False, lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [bound]})
        self.thread.start()
        until = time.monotonic() + WAIT
        while not self.server.started and time.monotonic() < until:
            time.sleep(0.005)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(WAIT)

    def strikes(self, kind: str, **more: Any) -> None:
        self.freed.clear()
        self.faults = Faults([always(kind, **more)])

    async def engine(self) -> AsyncGenerator[bytes, None]:
        try:
            for record in RECORDS:
                yield record
            if self.hangs:
                await asyncio.Event().wait()
        finally:
            self.freed.set()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        streams = scope["path"].endswith("-stream")
        strike = self.faults.pick("stream" if streams else "invoke")
        try:
            await strike.before()
        except PunaError as error:
            await refusal(error)(scope, receive, send)
            return
        send = strike.send(send)
        async with aclosing(strike.records(self.engine())) as records:
            await (self.stream if streams else self.whole)(records, send)

    async def whole(self, records: AsyncGenerator[bytes, None], send: Send) -> None:
        body = b"".join([record async for record in records])
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def stream(self, records: AsyncGenerator[bytes, None], send: Send) -> None:
        headers = [(b"content-type", eventstream.MEDIA_TYPE.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            async for record in records:
                await send({"type": "http.response.body", "body": eventstream.payload_part(record), "more_body": True})
        except StreamFault as error:
            told = {"Message": str(error), "ErrorCode": error.error_code}
            name = "ModelStreamError" if error.error_code else "InternalStreamFailure"
            await send({"type": "http.response.body", "body": eventstream.exception(name, told), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def raw(self) -> bytes:
        """All that comes back on a socket of its own."""
        path = "/endpoints/puna/invocations-response-stream"
        with socket.create_connection(self.address, timeout=WAIT) as sock:
            sock.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode())
            received = b""
            while data := sock.recv(65536):
                received += data
        return received.partition(b"\r\n\r\n")[2]


def refusal(error: PunaError) -> Response:
    if isinstance(error, ContainerFault):
        return aws.model_error(error.container_status, error.container_body, "puna", "eu-west-1")
    return aws.error(400 if isinstance(error, EngineBusyError) else error.status, error.code, str(error))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def client_of(server: Server, attempts: int, timeout: float = WAIT) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{server.address[1]}",
        region_name="eu-west-1",
        aws_access_key_id="AKIDLOCAL",
        aws_secret_access_key="local-secret",
        config=Config(retries={"total_max_attempts": attempts}, proxies={}, read_timeout=timeout),
    )


@pytest.fixture(scope="module")
def runtime(server: Server) -> Iterator[Any]:
    client = client_of(server, 1)
    yield client
    client.close()


def stream(runtime: Any) -> Iterator[bytes]:
    with closing(runtime.invoke_endpoint_with_response_stream(EndpointName="puna", Body=b"{}")["Body"]) as body:
        for event in body:
            yield event["PayloadPart"]["Bytes"]


def invoke(runtime: Any) -> bytes:
    with closing(runtime.invoke_endpoint(EndpointName="puna", Body=b"{}")["Body"]) as body:
        read: bytes = body.read()
        return read


def caught(errors: type[Exception] | tuple[type[Exception], ...], call: Callable[[], object]) -> Any:
    with pytest.raises(errors) as found:
        call()
    return found.value


@pytest.mark.parametrize("call", [invoke, lambda runtime: list(stream(runtime))])
@pytest.mark.parametrize("kind", REFUSALS)
def test_boto3_raises_a_refusal_by_its_name(
    server: Server, runtime: Any, kind: str, call: Callable[[Any], object]
) -> None:
    server.strikes(kind)
    error = caught(ClientError, lambda: call(runtime))
    response = error.response
    assert (type(error) is ClientError) == (kind == "throttle"), "all but this one have a class in runtime.exceptions"
    status, code, sentence = REFUSALS[kind]
    assert response["Error"]["Code"] == code
    assert response["ResponseMetadata"]["HTTPStatusCode"] == (400 if kind == "throttle" else status)
    assert sentence in response["Error"]["Message"]


def test_boto3_gives_the_containers_status_and_body(server: Server, runtime: Any) -> None:
    server.strikes("model-error", status=507, body="CUDA out of memory")
    error = caught(runtime.exceptions.ModelError, lambda: invoke(runtime))
    assert (error.response["OriginalStatusCode"], error.response["OriginalMessage"]) == (507, "CUDA out of memory")
    server.strikes("time-out")
    error = caught(runtime.exceptions.ModelError, lambda: invoke(runtime))
    assert error.response["OriginalStatusCode"] == 0
    assert 'Received server error (0) from primary with message "Your invocation timed out' in str(error)


@pytest.mark.parametrize("kind", REFUSALS)
def test_boto3_asks_again_after_a_refusal_that_may_pass(
    server: Server, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botocore.endpoint.time, "sleep", lambda _: None)  # its pauses are seconds
    server.strikes(kind, every=0, nth=1)
    with closing(client_of(server, 3)) as client:
        if rows("What a client sees")[kind][1] == "no":
            caught(ClientError, lambda: invoke(client))
        else:
            assert invoke(client) == b"".join(RECORDS)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("stream-broken", "ModelStreamError"),
        ("stream-time-out", "ModelStreamError"),
        ("internal-stream-failure", "InternalStreamFailure"),
    ],
)
def test_boto3_raises_a_broken_stream_as_it_reads(server: Server, runtime: Any, kind: str, code: str) -> None:
    server.strikes(kind, after=2)
    found: list[bytes] = []
    error = caught(EventStreamError, lambda: found.extend(stream(runtime)))
    assert error.response["Error"]["Code"] == code
    assert found == RECORDS[:2]
    assert "ErrorCode" not in str(error.response), "boto3 drops it"


def test_boto3_does_not_notice_a_clean_cut(server: Server, runtime: Any) -> None:
    server.strikes("cut", after=3)
    assert list(stream(runtime)) == RECORDS[:3]
    server.strikes("cut")
    assert b"".join(RECORDS).startswith(invoke(runtime))


def test_boto3_notices_a_connection_that_was_dropped(server: Server, runtime: Any) -> None:
    server.strikes("drop", after=3)
    found: list[bytes] = []
    caught(ProtocolError, lambda: found.extend(stream(runtime)))
    assert found == RECORDS[:3]
    server.strikes("drop")
    caught(ResponseStreamingError, lambda: invoke(runtime))


@pytest.mark.parametrize("kind", ["split", "parts"])
def test_boto3_puts_pieces_together(server: Server, runtime: Any, kind: str) -> None:
    server.strikes(kind, size=3)
    pieces = list(stream(runtime))
    assert b"".join(pieces) == b"".join(RECORDS)
    assert (pieces == RECORDS) == (kind == "split")


def test_boto3_sees_the_last_line_without_its_end(server: Server, runtime: Any) -> None:
    server.strikes("no-newline")
    assert list(stream(runtime)) == [*RECORDS[:-1], RECORDS[-1][:-1]]
    assert invoke(runtime) == b"".join(RECORDS)[:-1]


@pytest.mark.parametrize(("kind", "error"), [("late", ReadTimeoutError), ("slow", urllib3.exceptions.ReadTimeoutError)])
def test_boto3_loses_patience(server: Server, kind: str, error: type[Exception]) -> None:
    client = client_of(server, 1, timeout=0.1)
    server.strikes(kind, seconds=0.5)
    caught(error, lambda: list(stream(client)))
    client.close()


def chunks_of(body: bytes) -> list[bytes]:
    """Of a chunked body, whole or not."""
    found = []
    while match := re.match(rb"([0-9a-f]+)\r\n", body):
        size = int(match[1], 16)
        found.append(body[match.end() : match.end() + size])
        body = body[match.end() + size + 2 :]
    assert body == b""
    return found


def test_split_on_the_wire(server: Server) -> None:
    server.faults = Faults()
    whole = chunks_of(server.raw())
    assert whole == [*map(eventstream.payload_part, RECORDS), b""]
    server.strikes("split", size=7)
    split = chunks_of(server.raw())
    assert b"".join(split) == b"".join(whole)
    assert {len(piece) for piece in split[:-1]} == set(range(1, 8))


def test_a_cut_ends_cleanly_and_a_drop_does_not(server: Server) -> None:
    server.strikes("cut")
    first, piece, end = chunks_of(server.raw())
    assert (first, end) == (eventstream.payload_part(RECORDS[0]), b"")
    assert eventstream.payload_part(RECORDS[1]).startswith(piece)
    server.strikes("drop", after=0)
    (piece,) = chunks_of(server.raw())
    assert eventstream.payload_part(RECORDS[0]).startswith(piece)
    assert len(piece) < len(eventstream.payload_part(RECORDS[0]))


@pytest.mark.parametrize("kind", ["cut", "drop", "stream-broken"])
def test_an_answer_that_is_cut_off_frees_its_slot(server: Server, kind: str) -> None:
    """The engine has more to say than will ever be read."""
    server.strikes(kind, after=4)
    server.hangs = True
    try:
        server.raw()
        assert server.freed.wait(WAIT)
    finally:
        server.hangs = False


def test_the_plan_names_what_the_strike_knows() -> None:
    """No kind is read and then never strikes."""
    for name, kind in KINDS.items():
        faults = Faults([always(name)], 0, lambda _: asyncio.sleep(0))
        strike = faults.pick(kind.routes[0])

        async def harmless(strike: Strike = strike) -> bool:
            await strike.before()
            records = source(RECORDS)
            return strike.records(records) is records and strike.send(nowhere) is nowhere

        if name not in REFUSALS and name != "late":
            assert not asyncio.run(harmless()), name
    assert fault_plan.ROUTES == ("invoke", "stream", "container", "openai")

import json
import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from zlib import crc32

import botocore.session
import pytest
from botocore.eventstream import EventStream, EventStreamBuffer
from botocore.exceptions import EventStreamError
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import EndpointError
from puna.wire import eventstream
from puna.wire.eventstream import Decoder, Message

PART = {":event-type": "PayloadPart", ":content-type": "application/octet-stream", ":message-type": "event"}

VECTOR = bytes.fromhex(
    "0000007d0000005976d712470b3a6576656e742d7479706507000b5061796c6f6164506172740d3a636f6e74656e742d747970650700186170706c6963617469"
    "6f6e2f6f637465742d73747265616d0d3a6d6573736167652d747970650700056576656e747b226f757470757473223a205b222061225d7d0a0c5a3c0e"
)

# headers, payload, and the frame where it is known from elsewhere
TABLE = [
    (PART, b'{"outputs": [" a"]}\n', VECTOR),
    (PART, b"", None),
    ({}, b"", bytes.fromhex("000000100000000005c248eb7d98c8ff")),
    ({}, b"\x00\xff" * 1000, None),
    ({"name": "", "ü": "🦙" * 100}, "ä".encode(), None),
]


def _sound(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _name(text: str) -> bool:
    return _sound(text) and 0 < len(text.encode()) < 256


TEXTS = st.text(max_size=50).filter(_sound)
HEADERS = st.dictionaries(TEXTS.filter(_name), TEXTS, max_size=5)


def decode(*chunks: bytes) -> list[Message]:
    decoder = Decoder()
    found = [message for chunk in chunks for message in decoder.feed(chunk)]
    decoder.close()
    return found


def bytewise(data: bytes) -> list[bytes]:
    return [data[n : n + 1] for n in range(len(data))]


@pytest.mark.parametrize(("headers", "payload", "frame"), TABLE)
def test_both_directions(headers: dict[str, str], payload: bytes, frame: bytes | None) -> None:
    made = eventstream.encode(headers, payload)
    assert frame is None or made == frame
    assert decode(made) == decode(*bytewise(made)) == [Message(headers, payload)]


def test_payload_part_is_the_known_frame() -> None:
    assert eventstream.payload_part(b'{"outputs": [" a"]}\n') == VECTOR
    assert decode(VECTOR)[0].kind == "event"


@given(HEADERS, st.binary(max_size=200))
def test_botocore_reads_what_is_written(headers: dict[str, str], payload: bytes) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(eventstream.encode(headers, payload))
    message = next(buffer)
    assert (message.headers, message.payload) == (headers, payload)


def typed(name: str, kind: int, value: bytes) -> bytes:
    return bytes((len(name),)) + name.encode() + bytes((kind,)) + value


def framed(headers: bytes, payload: bytes = b"") -> bytes:
    head = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    frame = head + struct.pack(">I", crc32(head)) + headers + payload
    return frame + struct.pack(">I", crc32(frame))


ALL_TYPES = b"".join([
    typed("true", 0, b""),
    typed("false", 1, b""),
    typed("byte", 2, b"\xff"),
    typed("short", 3, b"\xff\xfe"),
    typed("int", 4, b"\x00\x00\x01\x00"),
    typed("long", 5, b"\x80" + b"\x00" * 7),
    typed("bytes", 6, b"\x00\x02\x00\xff"),
    typed("text", 7, b"\x00\x02\xc3\xa4"),
    typed("time", 8, b"\x00" * 6 + b"\x01\x00"),
    typed("uuid", 9, bytes(range(16))),
])  # fmt: skip


def test_every_type_of_header_is_read_as_botocore_reads_it() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(framed(ALL_TYPES, b"x"))
    (message,) = decode(framed(ALL_TYPES, b"x"))
    assert message.headers == next(buffer).headers
    assert message.headers["true"] is True
    assert message.headers["false"] is False


THREE = eventstream.payload_part(b"a\n") + eventstream.encode({"k": "ä"}, b"") + eventstream.exception("E", {"M": "m"})


@given(st.lists(st.integers(0, len(THREE)), max_size=8))
def test_any_split_decodes_to_the_same(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(THREE)]
    assert decode(*(THREE[a:b] for a, b in pairwise(edges))) == decode(THREE)
    assert len(decode(THREE)) == 3


def test_feed_takes_its_bytes_even_if_nobody_iterates() -> None:
    decoder = Decoder()
    decoder.feed(VECTOR[:50])
    assert len(list(decoder.feed(VECTOR[50:]))) == 1


def head(total: int, headers: int) -> bytes:
    start = struct.pack(">II", total, headers)
    return start + struct.pack(">I", crc32(start))


def test_limits_are_botocores() -> None:
    most = 24 * 1024 * 1024
    assert list(Decoder().feed(head(most + 128 * 1024 + 16, 128 * 1024))) == []
    assert len(decode(eventstream.encode({}, b"x" * most))) == 1


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"<html><body>502</body></html>", "the checksum of its first 8 bytes is wrong; it begins '<html><body>"),
        (head(15, 0), "its length 15 has no room for 0 bytes of headers"),
        (head(20, 5), "no room for 5 bytes of headers"),
        (head(128 * 1024 + 17, 128 * 1024 + 1), "more than 131072 bytes of headers"),
        (head(24 * 1024 * 1024 + 17, 0), "or 25165824 of payload"),
        (VECTOR[:-1] + b"\x00", "its checksum is wrong"),
        (VECTOR[:100] + b"!" + VECTOR[101:], "its checksum is wrong"),
        (framed(b"\x05ab"), "its headers cannot be read"),
        (framed(b"\x01"), "its headers cannot be read"),
        (framed(typed("a", 10, b"")), "its headers cannot be read"),
        (framed(typed("a", 4, b"\x00")), "its headers cannot be read"),
        (framed(typed("a", 7, b"\x00\x05abc")), "its headers cannot be read"),
        (framed(typed("a", 7, b"\x00\x01\xff")), "its headers cannot be read"),
        (framed(typed("a", 0, b"") * 2), "its header 'a' stands there twice"),
    ],
)
@pytest.mark.parametrize("split", [lambda data: [data], bytewise])
def test_refuses(data: bytes, part: str, split: Callable[[bytes], list[bytes]]) -> None:
    with pytest.raises(EndpointError) as caught:
        decode(VECTOR, *split(data))
    assert str(caught.value).startswith("an AWS event-stream frame was expected at byte 125, but ")
    assert part in str(caught.value)


@given(st.binary(max_size=80))
def test_garbage_is_an_error_or_unfinished_never_anything_else(data: bytes) -> None:
    try:
        messages = decode(data)
    except EndpointError:
        return
    assert data == b"" or messages


def test_the_end_in_the_middle_of_a_frame_is_told() -> None:
    with pytest.raises(EndpointError, match="in the middle of a frame: 60 bytes after byte 125"):
        decode(VECTOR + VECTOR[:60])


class Source:
    """What botocore's EventStream reads from."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    def stream(self) -> Iterator[bytes]:
        yield from self.chunks


def botocore_events(chunks: list[bytes]) -> Any:
    model = botocore.session.get_session().get_service_model("sagemaker-runtime")
    operation = model.operation_model("InvokeEndpointWithResponseStream")
    shape = operation.get_event_stream_output()
    parser = create_parser("rest-json")._event_stream_parser
    return EventStream(Source(chunks), shape, parser, "InvokeEndpointWithResponseStream")


@pytest.mark.parametrize("split", [lambda data: [data], bytewise])
def test_botocore_yields_the_parts_and_raises_the_exception(split: Callable[[bytes], list[bytes]]) -> None:
    data = eventstream.payload_part(b"a\n") + eventstream.payload_part("ä\n".encode())
    data += eventstream.exception("ModelStreamError", {"Message": "it broke: ä", "ErrorCode": "StreamBroken"})
    events = iter(botocore_events(split(data)))
    assert [next(events)["PayloadPart"]["Bytes"] for _ in range(2)] == [b"a\n", "ä\n".encode()]
    with pytest.raises(EventStreamError, match="it broke: ä") as caught:
        next(events)
    assert caught.value.response["Error"] == {"Code": "ModelStreamError", "Message": "it broke: ä"}


def test_an_exception_frame_read_by_ourselves() -> None:
    body = {"Message": "it broke", "ErrorCode": "StreamBroken"}
    (message,) = decode(eventstream.exception("ModelStreamError", body))
    assert (message.kind, message.headers[":exception-type"]) == ("exception", "ModelStreamError")
    assert json.loads(message.payload) == body


class NotebookReader:
    """Reads a stream as the workshop's notebook does: complete lines, JSON, the first output; "" and " " are not shown."""

    def __init__(self) -> None:
        self.pending, self.shown = b"", ""

    def write(self, data: bytes) -> None:
        *lines, self.pending = (self.pending + data).split(b"\n")
        pieces = [json.loads(line)["outputs"][0] for line in lines]
        self.shown += "".join(piece for piece in pieces if piece not in {"", " "})


def test_the_notebook_shows_every_word() -> None:
    from puna.wire import jsonlines, workshop
    from puna.wire.pieces import Pieces

    policy = Pieces()
    pieces = [piece for text in ["Ein", " ", "Lama", "", " ", " frißt", "\n", " 🦙"] for piece in policy.push(text)]
    frames = b"".join(eventstream.payload_part(jsonlines.encode(workshop.write_outputs(piece))) for piece in pieces)
    reader = NotebookReader()
    for event in botocore_events(bytewise(frames)):
        reader.write(event["PayloadPart"]["Bytes"])
    assert (reader.shown, reader.pending) == ("Ein Lama  frißt\n 🦙", b"")

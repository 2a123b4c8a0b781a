import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import EndpointError
from puna.wire import jsonlines

# value, its line: encode gives the line, a decoder gives the value back
TABLE = [
    ({"outputs": [" a"]}, b'{"outputs": [" a"]}\n'),
    ({"outputs": ["\n"]}, b'{"outputs": ["\\n"]}\n'),
    ({"outputs": ["\u00e9\u2028\U0001f999"]}, b'{"outputs": ["\\u00e9\\u2028\\ud83e\\udd99"]}\n'),
    ([], b"[]\n"),
    (None, b"null\n"),
    (12.5, b"12.5\n"),
]

STREAM = '{"outputs": [" ä"]}\r\n\n  \n{"outputs": ["🦙"]}\n[1]'.encode()
VALUES = [{"outputs": [" ä"]}, {"outputs": ["🦙"]}, [1]]


def decode(*chunks: bytes, limit: int = jsonlines.MAX_LINE) -> list[object]:
    decoder = jsonlines.Decoder(limit)
    found = [value for chunk in chunks for value in decoder.feed(chunk)]
    return [*found, *decoder.close()]


def bytewise(data: bytes) -> list[bytes]:
    return [data[n : n + 1] for n in range(len(data))]


@pytest.mark.parametrize(("value", "line"), TABLE)
def test_both_directions(value: Any, line: bytes) -> None:
    assert jsonlines.encode(value) == line
    assert decode(line) == [value]
    assert decode(*bytewise(line)) == [value]


def test_lines_survive_readers_that_split_decoded_text() -> None:
    line = jsonlines.encode({"outputs": ["a\u2028b\x85c\x0bd"]})
    assert len(line.decode().splitlines()) == 1


def test_blank_lines_crlf_and_a_last_line_without_newline() -> None:
    assert decode(STREAM) == VALUES
    assert decode(*bytewise(STREAM)) == VALUES


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_any_split_decodes_to_the_same(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert decode(*(STREAM[a:b] for a, b in pairwise(edges))) == VALUES


def test_feed_takes_its_bytes_even_if_nobody_iterates() -> None:
    decoder = jsonlines.Decoder()
    decoder.feed(b"[1]\n[2]")
    assert list(decoder.feed(b"\n")) == [[1], [2]]


def test_values_before_a_bad_line_are_given_first() -> None:
    decoder = jsonlines.Decoder()
    values = decoder.feed(b'[1]\n<html lang="en">\n')
    assert next(values) == [1]
    with pytest.raises(EndpointError, match=r"line 2 of the stream must be JSON.*begins '<html lang=\"en\">'"):
        next(values)


def test_a_cut_connection_is_told() -> None:
    decoder = jsonlines.Decoder()
    assert list(decoder.feed(b'{"outputs": [" a')) == []
    with pytest.raises(EndpointError, match="line 1 of the stream must be JSON"):
        list(decoder.close())


@pytest.mark.parametrize("chunks", [(b'"' + b"x" * 20,), (b'"' + b"x" * 20 + b'"\n',), bytewise(b'"' + b"x" * 20)])
def test_a_line_may_have_only_so_many_bytes(chunks: tuple[bytes, ...]) -> None:
    with pytest.raises(EndpointError, match=r"may have 16 bytes, but line . of the stream is longer"):
        decode(*chunks, limit=16)


def test_many_lines_in_one_chunk_are_not_too_long() -> None:
    assert decode(b"[1]\n" * 100, limit=16) == [[1]] * 100


@given(st.lists(st.recursive(st.text() | st.integers(-9, 9), st.lists, max_leaves=4)))
def test_what_is_encoded_is_decoded(values: list[Any]) -> None:
    data = b"".join(map(jsonlines.encode, values))
    assert decode(data) == values
    assert [json.loads(line) for line in data.splitlines()] == values

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.wire import strictjson

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_reads_what_python_writes(value: Any, escaped: bool) -> None:
    # A lone surrogate is JSON when it is escaped, and no UTF-8 when it is not.
    text = json.dumps(value, ensure_ascii=escaped)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return
    assert strictjson.loads(data) == value


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "Expecting value at line 1, column 1"),
        (b"{not json", "property name enclosed in double quotes at line 1, column 2"),
        (b'{"a": 1}\n{"b": 2}', "Extra data at line 2, column 1"),
        (b'{"prompt": "\xff"}', "byte 12 is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "byte 0 is not UTF-8"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b"[-Infinity]", "-Infinity is no JSON number"),
        (b'{"a": 1, "b": 2, "a": 3}', "the name 'a' stands twice"),
        (b"1" * 41, "the number 1111111111... has 41 digits"),
        (b"1" * 5000, "has 5000 digits"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'"\x00"', "Invalid control character"),
    ],
)
def test_refuses(data: bytes, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        strictjson.loads(data)
    assert part in str(caught.value)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert strictjson.loads(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_shown_is_one_short_line() -> None:
    assert strictjson.shown(b"ab\ncd") == r"'ab\ncd'"
    assert strictjson.shown(b"x" * 1000, most=5) == "'xxxxx'..."
    assert strictjson.shown("ä".encode() * 30, most=5) == "'äääää'..."


def test_a_name_twice_among_many_is_found_in_linear_time():
    names = ", ".join(f'"{n}": 0' for n in range(200_000))
    with pytest.raises(ValueError, match="'x' stands twice"):
        strictjson.loads(f'{{{names}, "x": 0, "x": 0}}'.encode())

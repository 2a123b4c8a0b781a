import pytest

from puna.formats.slips import ERROR, MOST, Slip, Slips

TABLE = {"odd": Slip(ERROR, "this is odd; make it even", "1", "numbers")}


def test_findings_come_in_text_order_with_the_table_s_words() -> None:
    slips = Slips(TABLE)
    slips.note("odd", 5, 6)
    slips.note("odd", 1, 2, "x")
    assert [f.as_json() for f in slips.in_text_order()] == [
        {"code": "odd", "severity": "error", "start": 1, "end": 2, "message": "this is odd; make it even", "fix": "x"},
        {"code": "odd", "severity": "error", "start": 5, "end": 6, "message": "this is odd; make it even", "fix": None},
    ]


def test_a_code_outside_the_table_is_a_mistake_of_the_reader() -> None:
    with pytest.raises(KeyError):
        Slips(TABLE).note("even", 0, 0)


def test_findings_are_bounded_and_the_bound_is_said() -> None:
    slips = Slips(TABLE)
    for n in range(2 * MOST):
        slips.note("odd", n, n + 1)
    found = slips.in_text_order()
    assert len(found) == MOST + 1
    assert found[-1].code == "more-slips"

import pytest

from puna.errors import SamplingError
from puna.generation import MAX_SEED, Sampling, Usage


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1), ("temperature", 2.1), ("temperature", "hot"), ("temperature", float("nan")),
        ("temperature", True), ("temperature", None), ("temperature", 10**400),
        ("top_p", -0.1), ("top_p", 1.1), ("top_p", float("inf")),
        ("min_p", 1.5),
        ("top_k", -1), ("top_k", 1.5), ("top_k", 2**31), ("top_k", True),
        ("max_tokens", 0), ("max_tokens", -5), ("max_tokens", "9"),
        ("seed", -1), ("seed", MAX_SEED + 1), ("seed", 1.0),
        ("stop", 5), ("stop", [""]), ("stop", ["a"] * 17), ("stop", [3]),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_refused_by_name_and_value(name, value):
    with pytest.raises(SamplingError) as caught:
        Sampling.of({name: value})
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", 0), ("temperature", 2), ("top_p", 0), ("top_p", 1), ("top_k", 0), ("min_p", 1), ("max_tokens", 1),
     ("seed", 0), ("seed", MAX_SEED)],
)  # fmt: skip
def test_the_ends_of_each_range_are_taken_as_they_are(name, value):
    assert getattr(Sampling.of({name: value}), name) == value


def test_an_unknown_parameter_is_refused_with_the_nearest():
    with pytest.raises(SamplingError, match="Did you mean 'temperature'"):
        Sampling.of({"tempreature": 1})


def test_one_stop_text_is_a_list_of_one():
    assert Sampling.of({"stop": "END"}).stop == ("END",)
    assert Sampling.of({"stop": None}).stop == ()


def test_evaluated_tokens_are_those_not_cached():
    assert Usage(prompt=10, cached=9, output=1).evaluated == 1

"""Grids, ranges, draws and variants: which samplings they make, what they are called, and what is refused."""

import pytest

from puna.errors import InputError
from puna.experiments import grid
from puna.experiments.file import Given
from puna.generation import Sampling


def sampling(value):
    return Given(value, ("sampling",))


def names(variants):
    return [variant.name for variant in variants]


def values(range_, name="temperature"):
    return [getattr(variant.sampling, name) for variant in grid.grid(sampling({name: range_}))]


def test_a_grid_is_the_product_and_names_tell_what_varies():
    made = grid.grid(sampling({"temperature": [0, 0.5], "top_p": [0.9, 1.0], "max_tokens": 60}))
    assert names(made) == [
        "temperature=0 top_p=0.9",
        "temperature=0 top_p=1",
        "temperature=0.5 top_p=0.9",
        "temperature=0.5 top_p=1",
    ]
    assert made[1].sampling == Sampling(temperature=0.0, top_p=1.0, max_tokens=60)
    assert made[0].given == {"temperature", "top_p", "max_tokens"}


def test_where_nothing_varies_there_is_the_default():
    (one,) = grid.grid(sampling({}))
    assert (one.name, one.sampling, one.given) == ("default", Sampling(), frozenset())
    assert names(grid.grid(sampling({"temperature": [1]}))) == ["default"]


@pytest.mark.parametrize(
    ("range_", "found"),
    [
        ({"from": 0.1, "to": 0.7, "step": 0.2}, [0.1, 0.3, 0.5, 0.7]),
        ({"from": 0.5, "to": 1.1, "step": 0.25}, [0.5, 0.75, 1.0]),
        ({"from": 0, "to": 1, "count": 5}, [0, 0.25, 0.5, 0.75, 1]),
        ({"from": 0.01, "to": 1, "count": 3, "scale": "log"}, [0.01, 0.1, 1]),
        ({"from": 0, "to": 1, "count": 4, "scale": "linear"}, [0, 0.3333, 0.6667, 1]),
    ],
)
def test_ranges(range_, found):
    assert values(range_) == found


def test_ranges_of_whole_numbers_stay_whole():
    assert values({"from": 1, "to": 1000, "count": 4, "scale": "log"}, "top_k") == [1, 10, 100, 1000]
    assert values({"from": 1, "to": 3, "count": 9}, "top_k") == [1, 2, 3]
    assert values({"from": 10, "to": 45, "step": 10}, "max_tokens") == [10, 20, 30, 40]
    assert all(isinstance(k, int) for k in values({"from": 1, "to": 9, "count": 4}, "top_k"))


def test_stops_are_one_value_unless_they_are_lists_of_stops():
    assert [v.sampling.stop for v in grid.grid(sampling({"stop": ["a", "b"]}))] == [("a", "b")]
    made = grid.grid(sampling({"stop": [["a"], ["b", "\n"]]}))
    assert [v.sampling.stop for v in made] == [("a",), ("b", "\n")]
    assert names(made) == ['stop=["a"]', 'stop=["b", "\\n"]']


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"temprature": 1}, r"unknown sampling parameter 'temprature'. Did you mean 'temperature'\?"),
        ({"seed": [1, 2]}, "each repeat has its own seed, the same in every cell.*write seed or seeds outside"),
        ({"temperature": []}, "sampling.temperature is empty"),
        ({"temperature": [0.5, 3]}, "temperature must be a number from 0 to 2, not 3"),
        ({"temperature": "hot"}, "temperature must be a number from 0 to 2, not 'hot'"),
        ({"temperature": float("nan")}, "temperature must be a number"),
        ({"temperature": [0, 0.0]}, "has the value 0.0 twice"),
        ({"top_k": 1.5}, "top_k must be a whole number"),
        ({"temperature": {"from": 0, "to": 1}}, r"must be a range.*not \{from = 0, to = 1\}"),
        ({"temperature": {"from": 0, "to": 1, "step": 0.5, "count": 3}}, "must be a range"),
        ({"temperature": {"from": 1, "to": 0, "step": 0.5}}, "from a lower number to a higher one"),
        ({"temperature": {"from": 0, "to": 1, "step": -1}}, "must be a step above 0"),
        ({"temperature": {"from": 0, "to": 1, "step": 1e-9}}, "at most 1000; take larger steps"),
        ({"temperature": {"from": 0, "to": 1, "count": 3, "scale": "log"}}, "must begin above 0, not at 0"),
        ({"temperature": {"from": 0.1, "to": 1, "step": 0.1, "scale": "log"}}, "write count in place of step"),
        ({"temperature": {"from": 0.1, "to": 1, "stepp": 0.1}}, "Did you mean 'step'"),
        ({"temperature": {"from": 0, "to": float("inf"), "step": 1}}, "sampling.temperature.to must be a number"),
        ({"temperature": {"from": 0, "to": 3, "step": 1}}, "temperature must be a number from 0 to 2, not 3"),
        ({"temperature": {"low": 0, "high": 1}}, r"for random draws; add \[draws\]"),
        ({"top_k": {"from": 1, "to": 9, "step": 0.5}}, "sampling.top_k.step must be a whole number"),
        ({"stop": {"from": 0, "to": 1, "step": 1}}, "ranges are of numbers"),
        ({"stop": [5]}, "stop must be a text or a list"),
        ({"top_k": {"from": 1, "to": 900, "step": 1}, "max_tokens": {"from": 1, "to": 900, "step": 1}},
         "810000 variants, but may make at most 10000"),
    ],
)  # fmt: skip
def test_bad_grids_are_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        grid.grid(sampling(given))


# ---- draws


def draws(**given):
    return Given(given, ("draws",))


SPACE = {
    "temperature": {"low": 0.1, "high": 1.5},
    "top_k": {"low": 1, "high": 1000, "scale": "log"},
    "top_p": [0.5, 0.9],
    "max_tokens": 60,
}


def test_draws_are_the_same_on_every_machine():
    made = grid.drawn(sampling(SPACE), draws(count=3, seed=7))
    assert names(made) == [
        "temperature=0.5534 top_p=0.5 top_k=89",
        "temperature=0.2014 top_p=0.9 top_k=12",
        "temperature=0.1812 top_p=0.9 top_k=1",
    ]
    assert names(grid.drawn(sampling(SPACE), draws(count=2, seed=7))) == names(made)[:2]
    other_order = dict(sorted(SPACE.items()))
    assert names(grid.drawn(sampling(other_order), draws(count=3, seed=7))) == names(made)
    assert names(grid.drawn(sampling(SPACE), draws(count=3, seed=8))) != names(made)


def test_draws_keep_to_their_bounds_and_cover_them():
    made = [variant.sampling for variant in grid.drawn(sampling(SPACE), draws(count=2000))]
    assert all(0.1 <= each.temperature <= 1.5 and 1 <= each.top_k <= 1000 and each.max_tokens == 60 for each in made)
    assert min(each.temperature for each in made) < 0.11
    assert max(each.temperature for each in made) > 1.49
    below = sum(each.top_k <= 31 for each in made)  # the middle of a logarithmic scale from 1 to 1001
    assert 900 < below < 1100
    assert {each.top_p for each in made} == {0.5, 0.9}


def test_every_whole_number_is_drawn_and_equally_often():
    made = grid.drawn(
        sampling({"top_k": {"low": 1, "high": 4}, "temperature": {"low": 0.1, "high": 2}}), draws(count=2000)
    )
    counts = [sum(variant.sampling.top_k == k for variant in made) for k in range(1, 5)]
    assert sum(counts) == 2000
    assert all(420 < count < 580 for count in counts)


@pytest.mark.parametrize(
    ("given", "wanted", "sentence"),
    [
        ({"top_p": [0.5, 0.9]}, {"count": 5}, "draws.count is 5, but only 2 different variants were found"),
        ({"top_p": [0.5, 0.9]}, {"seed": 5}, "must say how many variants to draw: count = 20"),
        ({"top_p": [0.5, 0.9]}, {"count": 0}, "draws.count must be a whole number from 1"),
        ({"top_p": [0.5, 0.9]}, {"count": 1, "sed": 1}, "Did you mean 'seed'"),
        ({"temperature": {"low": 1, "high": 3}}, {"count": 2}, "temperature must be a number from 0 to 2, not 3"),
        ({"temperature": {"low": 1, "high": 1}}, {"count": 2}, "low below high"),
        ({"temperature": {"low": 1}}, {"count": 2}, "must be bounds of draws"),
        ({"temperature": {"low": 0, "high": 1, "scale": "log"}}, {"count": 2}, "must begin above 0"),
    ],
)
def test_bad_draws_are_refused(given, wanted, sentence):
    with pytest.raises(InputError, match=sentence):
        grid.drawn(sampling(given), draws(**wanted))


# ---- variants


def variants(*entries):
    return Given(list(entries), ("variants",))


def test_variants_have_what_is_common_and_names_of_what_they_give():
    made = grid.listed(
        variants({"temperature": 0}, {"name": "hot", "temperature": 1.5}, {"top_k": 3}), sampling({"max_tokens": 6})
    )
    assert names(made) == ["temperature=0", "hot", "top_k=3"]
    assert made[1].sampling == Sampling(temperature=1.5, max_tokens=6)
    assert made[2].given == {"top_k", "max_tokens"}


def test_each_of_several_variants_may_be_a_grid_and_what_comes_twice_is_there_once():
    made = grid.listed(variants({"temperature": [0.5, 0.6], "top_p": [0.9, 1]}, {"max_tokens": [10, 200]}), None)
    assert names(made) == [
        "temperature=0.5 top_p=0.9",
        "temperature=0.5 top_p=1",
        "temperature=0.6 top_p=0.9",
        "temperature=0.6 top_p=1",
        "max_tokens=10",
    ]


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        (({"name": "a"}, {"name": "a", "top_k": 1}), "two variants named 'a'"),
        (({"name": "a"}, {"name": "b", "temperature": 0.6}), r"variants\[1\] samples as variants\[0\] does"),
        (({"name": "a", "top_k": [1, 2]},), "has a name, but makes several"),
        (({"seed": 1},), "each repeat has its own seed"),
        (({"topk": 1},), "unknown key of a variant 'topk'. Did you mean 'top_k'"),
        ((), "variants is empty"),
    ],
)
def test_bad_variants_are_refused(entries, sentence):
    with pytest.raises(InputError, match=sentence):
        grid.listed(variants(*entries), None)


def test_what_is_common_to_variants_has_one_value():
    with pytest.raises(
        InputError, match=r"sampling.top_k must be one value; several make a grid, which has no \[\[variants\]\]"
    ):
        grid.listed(variants({"temperature": 0}), sampling({"top_k": [1, 2]}))


def test_one_variant_for_itself():
    made = grid.variant_of(sampling({"temperature": 1, "stop": "\n"}))
    assert (made.name, made.given) == ("default", frozenset({"temperature", "stop"}))
    assert made.sampling == Sampling(temperature=1.0, stop=("\n",))


def test_a_temperature_is_the_same_however_it_is_written():
    (one,), (other,) = grid.grid(sampling({"temperature": 1})), grid.grid(sampling({"temperature": 1.0}))
    assert repr(one.sampling) == repr(other.sampling)


def test_rounding_leaves_no_bounds():
    (one,) = grid.drawn(sampling({"temperature": {"low": 0.123456, "high": 0.123457}}), draws(count=1))
    assert 0.123456 <= one.sampling.temperature <= 0.123457

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import InputError
from puna.experiments.nuclei import CUTS, SHARES, nuclei, position, shares_left, telling
from puna.experiments.rows import Distribution
from puna.generation import Sampling

from .made import distributions_of, plan_of


def logs(*shares):
    return tuple(math.log(share) for share in shares)


def sampling(**given):
    return Sampling(**{"temperature": 1, "top_p": 1, "top_k": 0, **given})


def test_temperature_sharpens_and_flattens():
    assert shares_left(logs(0.8, 0.2), sampling()) == pytest.approx([0.8, 0.2])
    assert shares_left(logs(0.8, 0.2), sampling(temperature=0.5)) == pytest.approx([0.64 / 0.68, 0.04 / 0.68])
    assert list(shares_left(logs(0.8, 0.2), sampling(temperature=0))) == [1, 0]


def test_the_token_that_reaches_top_p_stays():
    shares = logs(0.5, 0.3, 0.2)
    assert shares_left(shares, sampling(top_p=0.6)) == pytest.approx([0.625, 0.375, 0])
    assert shares_left(shares, sampling(top_p=0.3)) == pytest.approx([1, 0, 0])
    assert shares_left(shares, sampling(top_p=0)) == pytest.approx([1, 0, 0])


def test_cuts_come_in_the_order_of_sampling():
    """top_p is of what temperature and top_k have left: of the whole it would keep one token more here."""
    left = shares_left(logs(0.4, 0.3, 0.2, 0.1), sampling(top_k=2, top_p=0.55))
    assert left == pytest.approx([1, 0, 0, 0])
    assert shares_left(logs(0.5, 0.3, 0.2), sampling(min_p=0.5)) == pytest.approx([0.625, 0.375, 0])


@given(
    st.lists(st.floats(-20, 0), min_size=1, max_size=30),
    st.floats(0.01, 2),
    st.integers(0, 40),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_what_is_left_is_a_distribution_that_begins_with_the_likeliest(values, temperature, top_k, top_p, min_p):
    falling = sorted(values, reverse=True)
    left = shares_left(falling, Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p))
    assert left.sum() == pytest.approx(1)
    kept = np.nonzero(left)[0]
    assert list(kept) == list(range(len(kept))), "cuts take from the end"
    assert top_k == 0 or len(kept) <= top_k


def test_how_many_tokens_hold_a_share():
    told = Distribution(0, 0, 0, "a", ("a", "b", "c"), logs(0.6, 0.31, 0.09))
    (found,) = nuclei([told], plan_of().cells)
    assert SHARES == (0.5, 0.9, 0.95)
    assert found.sizes == ((1,), (2,), (3,))
    assert found.told == ((True,), (True,), (True,))


def test_a_share_that_was_not_recorded_is_not_told():
    told = Distribution(0, 0, 0, "a", ("a", "b"), logs(0.6, 0.31))
    (found,) = nuclei([told], plan_of().cells)
    assert found.sizes[2] == (2,)
    assert found.told == ((True,), (True,), (False,))


def test_a_position_is_cut_again_by_each_sampling():
    plan = plan_of()
    distributions = distributions_of(plan, (7,))
    (found,) = nuclei(distributions, plan.cells)
    place = telling(found)
    told = position(distributions, found, place)
    assert told.position == place
    assert told.before == "".join(found.tokens[:place])
    assert told.chosen == found.tokens[place]
    assert [cut.sampling for cut in told.recuts] == list(CUTS)
    for cut in told.recuts:
        assert sum(cut.shares) + cut.rest == pytest.approx(1)
    five = told.recuts[3]
    assert (sum(share > 0 for share in five.shares), five.others, five.rest) == (5, 0, 0)
    assert told.recuts[0].others == 22
    assert 0.9 < told.held < 1


def test_a_position_that_an_answer_lacks():
    plan = plan_of()
    distributions = distributions_of(plan, (7,))
    (found,) = nuclei(distributions, plan.cells)
    with pytest.raises(InputError, match=f"from 0 to {len(found.tokens) - 1}, not 999"):
        position(distributions, found, 999)

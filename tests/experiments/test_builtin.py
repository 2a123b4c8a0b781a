"""The experiments that puna brings are good ones."""

import pytest

from puna.errors import InputError
from puna.experiments.builtin import BUILTINS, builtin


@pytest.mark.parametrize("name", BUILTINS)
def test_every_one_makes_a_plan_of_its_name(name):
    plan = builtin(name).plan()
    assert plan.name == name
    assert plan.cells


def test_hyperparameters_vary_one_thing_while_the_others_stay():
    """Each of the table's four has a row of settings that differ in nothing else, with the endpoint's defaults among them."""
    plan = builtin("hyperparameters").plan()
    samplings = {cell.sampling for cell in plan.cells}
    for name, least in (("temperature", 4), ("top_p", 3), ("top_k", 4), ("max_tokens", 3)):
        rest = [
            {key: value for key, value in sampling.as_json().items() if key != name}
            for sampling in sorted(samplings, key=lambda each: str(getattr(each, name)))
        ]
        assert max(rest.count(each) for each in rest) >= least, name
    assert plan.record.logprobs is not None
    assert plan.record.distributions


def test_an_unknown_one_is_refused_with_the_nearest():
    with pytest.raises(
        InputError, match="unknown built-in experiment 'hyperparameter'. Did you mean 'hyperparameters'"
    ):
        builtin("hyperparameter")

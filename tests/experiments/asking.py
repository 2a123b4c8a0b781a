"""Plans that the scripted engine carries out at once, for tests of sweeps."""

from puna.experiments.plan import Cell, Plan, Record, Target
from puna.generation import Sampling
from puna.messages import Dialog, Role

HERE = Target("here", settings={"engine": "scripted"})


def cell(index, text="What is a llama?", *, target="here", form="auto", prompt=None, ask=None, **sampling):
    """A cell whose prompt is one user message; ``ask`` instead of it."""
    given = {"max_tokens": 20, **sampling}
    return Cell(
        index=index,
        target=target,
        prompt=prompt or text,
        case="",
        system="none",
        format=form,
        variant=" ".join(f"{name}={value}" for name, value in sampling.items()) or "default",
        ask=ask or Dialog().append(Role.USER, text),
        sampling=Sampling.of(given),
        given=frozenset(given),
    )


def plan(*cells, repeats=2, targets=(HERE,), record=None, seconds=10.0, retries=2):
    """A plan of these cells, with the seeds 1, 2 ..."""
    return Plan(
        name="test",
        definition={"test": [repr(each) for each in cells], "repeats": repeats},
        targets=targets,
        cells=tuple(cells),
        seeds=tuple(range(1, repeats + 1)),
        record=record or Record(),
        seconds=seconds,
        retries=retries,
    )

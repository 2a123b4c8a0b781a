"""Rows made by hand, for tests of what is said of rows."""

from puna.experiments.plan import Cell
from puna.experiments.rows import Failure, Outcome, Row, State
from puna.generation import Finish, Logprob, Sampling, Timing, Usage


def cell_of(**given):
    """A cell, the things that a test does not care for filled in."""
    filled = {
        "index": 0,
        "target": "here",
        "prompt": "story",
        "case": "",
        "system": "none",
        "format": "auto",
        "variant": "default",
    }
    return Cell(**{**filled, "ask": "Tell a story.", **given})


def row_of(output="A llama sang.", *, cell=None, repeat=0, seed=1, **outcome):
    """A finished row."""
    told = {
        "state": State.OK,
        "output": output,
        "started": 1_800_000_000.0,
        "seconds": 2.0,
        "first": 0.5,
        "finish": str(Finish.STOP),
        "usage": Usage(prompt=10, cached=0, output=4),
        "timing": Timing(prefill=0.5, decode=1.5),
        "sampling": Sampling(seed=seed),
    }
    return Row("run", cell or cell_of(), repeat, seed, Outcome(**{**told, **outcome}))


def failed_row(output="A lla", **given):
    """A row of a trial that timed out, with what had arrived."""
    return row_of(
        output,
        state=State.FAILED,
        failure=Failure.TIMEOUT,
        reason="no answer within 1 s",
        finish=None,
        usage=None,
        **given,
    )


def token(logprob, *others, data=b"x"):
    """A token, with alternatives of these log-probabilities."""
    top = tuple(Logprob(n, b"y", other) for n, other in enumerate(others))
    own = next((other.id for other in top if other.logprob == logprob), 99)
    return Logprob(own, data, logprob, top)

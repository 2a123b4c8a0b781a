"""Rows as a sweep would leave them, with outputs and token counts that a test chooses."""

from collections.abc import Mapping

from puna.experiments.plan import Cell
from puna.experiments.rows import Failure, Outcome, Row, State
from puna.generation import Sampling, Usage
from puna.messages import dialog_of

DIALOG = dialog_of([{"role": "user", "content": "Say a number."}])


def cell(index=0, *, temperature=1.0, top_p=1.0, **names):
    told = {"target": "here", "prompt": "p", "case": "", "system": "none", "format": "auto"} | names
    sampling = Sampling(temperature=temperature, top_p=top_p)
    return Cell(
        index,
        variant=told.pop("variant", f"temperature={temperature:g} top_p={top_p:g}"),
        ask=DIALOG,
        sampling=sampling,
        **told,
    )


def row(
    of: Cell, seed: int, tokens: float | None = None, text: str = "", *, failed: bool = False, run: str = "a"
) -> Row:
    outcome = Outcome(
        state=State.FAILED if failed else State.OK,
        output=text,
        started=0.0,
        seconds=1.0,
        failure=Failure.TIMEOUT if failed else None,
        usage=None if tokens is None else Usage(3, 0, int(tokens)),
        sampling=of.sampling,
    )
    return Row(run, of, seed - 1, seed, outcome)


def rows(of: Cell, tokens: Mapping[int, float | None]) -> list[Row]:
    """A row for each seed; None for one that failed."""
    return [row(of, seed, value, failed=value is None) for seed, value in tokens.items()]

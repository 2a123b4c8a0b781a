"""A run made without any model: a toy language of which every number is computed, for tests of what is shown of runs.

The words of an answer are drawn from toy logits by ``puna.generation.Sampling``'s temperature, top_k and top_p, so that what a report
should find is known: more temperature, more diversity; the same seed, the same answer.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from puna.experiments.plan import Case, Cell, Check, Plan, Record, SystemPrompt, Target, Trial
from puna.experiments.rows import Distribution, Failure, Likelihood, Outcome, Row, State
from puna.experiments.store import Store
from puna.generation import Kind as PieceKind
from puna.generation import Logprob, Prompt, Sampling, Segment, Timing, Usage
from puna.messages import Dialog, Message, Role

WORDS = ("the", "llama", "walked", "over", "cold", "bright", "hills", "and", "saw", "a", "small", "green", "lake", "where", "birds", "sang", "of", "old", "kings", "who", "once", "lost", "their", "way", "in", "snow", "while", "grey", "wolves", "slept", "near", "quiet", "stones", "under", "seven", "pale", "stars", "until", "morning", "came", "with", "wind", "rain", "<b>salt</b>", "señor", "🦙")  # fmt: skip
END = "."
CASES = (Case("llama", {"animal": "llama"}), Case("condor", {"animal": "condor"}))
SYSTEMS = (SystemPrompt("none"), SystemPrompt("pirate", "You are a pirate."))
HERE = Target("here", settings={"model": "toy-1m"})


def plan_of(
    *,
    temperatures=(0.0, 0.4, 0.8, 1.2),
    top_ps=(0.7, 1.0),
    cases=CASES,
    systems=SYSTEMS[:1],
    targets=(HERE,),
    repeats=6,
    variants=None,
    **given,
):
    """A plan over temperatures and top_p, or over ``variants``: samplings by their name."""
    chosen = variants or {
        f"temperature={t:g}" + (f" top_p={p:g}" if len(top_ps) > 1 else ""): {"temperature": t, "top_p": p}
        for t in temperatures
        for p in top_ps
    }
    cells: list[Cell] = []
    for target in targets:
        for case in cases:
            for system in systems:
                for name, sampling in chosen.items():
                    ask = f"Tell a story about a {case.values['animal']}."
                    messages = [Message(Role.USER, ask)]
                    if system.text:
                        messages.insert(0, Message(Role.SYSTEM, system.text))
                    cells.append(
                        Cell(
                            len(cells),
                            target.name,
                            "story",
                            case.name,
                            system.name,
                            "auto",
                            name,
                            Dialog(tuple(messages)),
                            sampling=Sampling.of({"max_tokens": 40, **sampling}),
                            given=frozenset({"max_tokens", *sampling}),
                            values=case.values,
                        )
                    )
    filled = {
        "name": "story temperature",
        "definition": {"name": "story temperature"},
        "targets": targets,
        "seeds": tuple(range(1, 1 + repeats)),
        "record": Record(logprobs=3, distributions=30),
        "checks": (Check("mentions a llama", "contains", "llama"),),
    }
    return Plan(cells=tuple(cells), **{**filled, **given})


def outcome_of(trial: Trial) -> Outcome:
    """What the toy language answers."""
    cell, sampling = trial.cell, trial.cell.sampling
    tokens = _tokens(trial)
    text = " ".join(token.data.decode() for token in tokens).replace(" .", ".")
    asked = cell.ask if isinstance(cell.ask, str) else "\n".join(f"{m.role}: {m.content}" for m in cell.ask)
    ids = tuple(asked.encode())
    prefill, decode = 0.002 * len(ids), 0.02 * len(tokens) * (1 + 0.1 * (trial.seed % 3))
    return Outcome(
        State.OK,
        text,
        started=1_795_888_000.0 + 60 * cell.index + trial.repeat,
        seconds=prefill + decode,
        first=prefill,
        finish="length" if len(tokens) == sampling.max_tokens else "stop",
        usage=Usage(len(ids), 0, len(tokens)),
        timing=Timing(0.0, prefill, decode),
        sampling=Sampling.of({**sampling.as_json(), "seed": trial.seed}),
        prompt=Prompt((Segment(PieceKind.CONTENT, asked),), ids),
        written_as="chatml",
        model="toy-1m",
        model_sha256="7" * 64,
        engine="toy 1.0",
        reproducible=True,
        receipt_id=f"r{cell.index}-{trial.repeat}",
        receipt={"defaulted": ["top_k", "min_p"], "sampling": sampling.as_json()},
        logprobs=tokens,
    )


def failed_outcome_of(
    trial: Trial, failure: Failure = Failure.TIMEOUT, reason: str = "no answer within 300 s"
) -> Outcome:
    """The same trial, timed out after a few words."""
    whole = outcome_of(trial)
    return Outcome(
        State.FAILED, whole.output[:20], whole.started, 300.0, whole.first, attempts=3, failure=failure, reason=reason,
        sampling=whole.sampling, prompt=whole.prompt, model=whole.model, model_sha256=whole.model_sha256, engine=whole.engine,
    )  # fmt: skip


def rows_of(plan: Plan, *, failing=()):
    """All rows of a plan, as a store gives them. failing: cell index and repeat of those that timed out."""
    return [_row(trial, failing) for trial in plan.trials()]


def distributions_of(plan: Plan, cells=(0,), repeat=0):
    """What the sampler chose from at each position of one answer of these cells."""
    found = []
    for trial in plan.trials():
        if trial.cell.index in cells and trial.repeat == repeat:
            previous, seed = 0, _language(trial)
            for position, token in enumerate(_tokens(trial)):
                logprobs = _logprobs(seed, position, previous)
                order = np.argsort(-logprobs, kind="stable")
                texts = tuple(f" {_text(n)}" for n in order[:30])
                values = tuple(float(logprobs[n]) for n in order[:30])
                found.append(Distribution(trial.cell.index, repeat, position, f" {token.data.decode()}", texts, values))
                previous = token.id
    return found


def fill(store: Store, plan: Plan, *, failing=(), distributions=()) -> str:
    """A complete run of a plan in a store; its id."""
    run = store.begin(plan)
    with store.claim(run):
        for trial in plan.trials():
            bad = (trial.cell.index, trial.repeat) in failing
            outcome = (failed_outcome_of if bad else outcome_of)(trial)
            store.put(run, trial, outcome, f"{trial.cell.index}-{trial.repeat}")
        if distributions:
            store.put_distributions(run, distributions_of(plan, distributions))
        for cell in plan.cells:
            if cell.continuations:
                store.put_likelihood(
                    run, Likelihood(cell.index, "unknown", "I don't know", (Logprob(1, b"I", -2.0 - cell.index),))
                )
        store.finish(run, "complete")
    return run


def _row(trial: Trial, failing) -> Row:
    bad = (trial.cell.index, trial.repeat) in failing
    outcome = (failed_outcome_of if bad else outcome_of)(trial)
    assert outcome.prompt is not None
    digests = outcome.prompt.digests()
    return Row(
        "20261128-175012-a3f9", trial.cell, trial.repeat, trial.seed, outcome, f"{trial.cell.index}-{trial.repeat}",
        digests["sha256"], digests["ids_sha256"], len(outcome.prompt.ids),
    )  # fmt: skip


def _tokens(trial: Trial) -> tuple[Logprob, ...]:
    sampling = trial.cell.sampling
    greedy = sampling.temperature == 0 or sampling.top_k == 1
    random = np.random.default_rng([1 if greedy else trial.seed, _language(trial)])
    tokens: list[Logprob] = []
    previous = 0
    while len(tokens) < sampling.max_tokens:
        logprobs = _logprobs(_language(trial), len(tokens), previous)
        previous = _chosen(logprobs, sampling, random)
        best = np.argsort(-logprobs, kind="stable")[:3]
        top = tuple(Logprob(int(n), _text(n).encode(), float(logprobs[n])) for n in best)
        tokens.append(Logprob(previous, _text(previous).encode(), float(logprobs[previous]), top))
        if previous == len(WORDS):
            break
    return tuple(tokens)


def _chosen(logprobs, sampling: Sampling, random) -> int:
    if sampling.temperature == 0:
        return int(np.argmax(logprobs))
    order = np.argsort(-logprobs, kind="stable")
    p = np.exp(logprobs[order] / sampling.temperature)
    p /= p.sum()
    kept = np.cumsum(p) - p < sampling.top_p
    if sampling.top_k:
        kept[sampling.top_k :] = False
    p = np.where(kept, p, 0)
    return int(random.choice(order, p=p / p.sum()))


def _language(trial: Trial) -> int:
    """Another language for each case and system prompt, and for another model."""
    cell = trial.cell
    return sum(map(ord, cell.case + cell.system)) + (0 if cell.target in {"here", "again"} else 1)


@cache
def _logprobs(language: int, position: int, previous: int):
    logits = np.random.default_rng([language, min(position, 30), previous]).normal(0, 2.2, len(WORDS) + 1)
    logits[-1] = -2 + 0.15 * position  # an end grows likelier
    return logits - np.log(np.exp(logits).sum())


def _text(n) -> str:
    return WORDS[n] if n < len(WORDS) else END

"""Score given answers: how likely the model holds each continuation of an experiment's prompts. No answer is drawn.

The log-probability of every token, behind the very prompt that an answer would be drawn after. Continuations of one group are
choices: their shares and the likeliest one are told.

Example: puna score capitals.toml --by character
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from puna.cli.interrupts import interruptible
from puna.cli.stores import harmless
from puna.cli.sweep import find_targets
from puna.cli.targets import add_targets, targets_of
from puna.errors import InputError
from puna.experiments.choices import Scored, every
from puna.experiments.experiment import Experiment
from puna.experiments.labels import labeller
from puna.experiments.likelihood import BY
from puna.experiments.plan import Plan

Show = Callable[[tuple[Scored, ...]], None]


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("file", type=Path, metavar="FILE.toml", help="an experiment with continuations")
    parser.add_argument("--by", choices=tuple(BY), default="sum", help="what choices are compared by (default sum)")
    parser.add_argument("--json", action="store_true", help="one JSON line per continuation")
    add_targets(parser)


def run(args: argparse.Namespace) -> int:
    """Score, and print as it comes."""
    experiment = Experiment.read(args.file)
    plan = experiment.plan()
    targets = targets_of(args, plan.targets)
    plan = plan if targets == plan.targets else experiment.plan(targets=targets)
    if not any(cell.continuations for cell in plan.cells):
        raise InputError(f"{args.file} has no continuations to score; add [[continuations]] with a text")
    found = find_targets(plan, 1)
    show = _as_json if args.json else _table(plan)

    async def work(stop: asyncio.Event) -> int:
        async with aclosing(every(found, plan.cells, args.by)) as prompts:
            async for prompt in prompts:
                show(prompt)
                if stop.is_set():
                    return 130
        return 0

    return asyncio.run(
        interruptible(work, "the prompt that is being scored is finished first; Ctrl-C again ends it at once")
    )


def _as_json(prompt: tuple[Scored, ...]) -> None:
    for each in prompt:
        found = each.likelihood
        told = {
            "target": each.cell.target,
            "prompt": each.cell.prompt,
            "case": each.cell.case,
            "system": each.cell.system,
            "format": each.cell.format,
            "name": found.name,
            "text": found.text,
            "logprob": found.logprob,
            "tokens": [
                {"id": t.id, "text": t.data.decode("utf-8", "replace"), "logprob": t.logprob} for t in found.tokens
            ],
            "group": found.group,
            "share": each.share,
            "chosen": each.chosen if found.group is not None else None,
        }
        print(json.dumps(told), flush=True)


def _table(plan: Plan) -> Show:
    """A table per prompt, under its name."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    label = labeller(plan.cells)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)

    def show(prompt: tuple[Scored, ...]) -> None:
        console.print(Text(harmless(label(prompt[0].cell)), style="bold"))
        table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
        for name in ("", "continuation"):
            table.add_column(name, overflow="fold")
        for name in ("log-probability", "per token", "tokens", "share"):
            table.add_column(name, justify="right")
        for each in prompt:
            found = each.likelihood
            count = max(1, len(found.tokens))
            share = "" if each.share is None else f"{each.share:.1%}"
            words = (
                "*" if each.chosen else "",
                harmless(found.text),
                f"{found.logprob:.3f}",
                f"{found.logprob / count:.3f}",
            )
            table.add_row(*map(Text, (*words, str(count), share)), style="bold" if each.chosen else "")
        console.print(table)

    return show

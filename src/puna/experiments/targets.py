"""A plan's targets, found and opened: which model, which file, how large a window; how a cell is asked there. Knows no store.

An embedded model is loaded for the run: as many slots as jobs, a window as large as the plan needs, one decoding thread, with which
answers are reproducible on every machine; what the target's own settings say comes first. Remote targets keep what they have.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from puna import config
from puna.chat import Spine
from puna.errors import InputError, unknown
from puna.experiments.plan import AUTO, Cell, Record, Target, Trial
from puna.generation import Extras
from puna.messages import Dialog
from puna.models.transfer import Progress, Report, sha256_of
from puna.turn import Ask
from puna.wire.dialects import AUTO as DIALECT

ROUND = 256
"""Tokens to whose multiple a window is rounded up."""


def _silent(_: Progress) -> None:
    return


@dataclass(frozen=True, slots=True)
class Found:
    """A target before it is started. settings, model: of an embedded one; the scripted engine has no model."""

    target: Target
    settings: config.Settings | None = None
    model: config.Model | None = None
    model_sha256: str | None = None

    @property
    def fixed_context(self) -> bool:
        """Whether the target's own settings say how large the window is."""
        return bool(self.target.settings.get("context"))

    def with_context(self, tokens: int) -> Found:
        """With a window that holds so many tokens, where the target does not say how large it is.

        Raises:
            InputError: there is too little memory for it.
        """
        if self.settings is None or self.fixed_context:
            return self
        room = -(-max(tokens, 1) // ROUND) * ROUND
        if self.model is not None and self.model.facts.context_length:
            room = min(room, self.model.facts.context_length)
        settings = replace(self.settings, context=room)
        return replace(self, settings=settings, model=config.find_model(settings))


def find(target: Target, jobs: int, progress: Report = _silent) -> Found:
    """Look a target up; a missing model is pulled. jobs: requests at a time. Blocks.

    Raises:
        InputError: an unknown setting or model, a bad file, too little memory.
    """
    if target.api != "embedded":
        if target.url is None:
            raise InputError(f"the target {target.name!r} has the api {target.api!r} and needs a url; give one")
        if target.format is not None:
            _check_format(target, target.format)
        return Found(target)
    known = {option.name for option in config.OPTIONS}
    for name in target.settings:
        if name not in known:
            raise InputError(f"the target {target.name!r}: {unknown('setting', name, known)}")
    settings = config.settings({"slots": jobs, "threads": 1, **target.settings})
    # The window is not known yet: memory is checked once it is.
    model = config.find_model(settings if target.settings.get("context") else replace(settings, slots=1), progress)
    return Found(target, settings, model, None if model is None else checksum(model.path, settings.home, progress))


@dataclass(frozen=True, slots=True)
class Opened:
    """A target that answers. spine: with the format that is the model's own. spines: with each other format that cells name.

    jobs: requests that it works on at a time.
    """

    found: Found
    spine: Spine
    spines: Mapping[str, Spine]
    jobs: int

    @property
    def target(self) -> Target:
        """What the plan says of it."""
        return self.found.target

    @property
    def embedded(self) -> bool:
        """Whether the engine is here."""
        return self.target.api == "embedded"

    def spine_of(self, cell: Cell) -> Spine:
        """What prepares this cell's turns."""
        return self.spines.get(cell.format, self.spine)

    def ask(self, trial: Trial, record: Record) -> Ask:
        """What a trial asks. A remote target gets a dialog in a format that the cell names as text, written here.

        Raises:
            DialogError: the format does not allow the dialog.
        """
        cell = trial.cell
        prompt, raw = cell.ask, cell.raw
        if not self.embedded and cell.format != AUTO and isinstance(prompt, Dialog):
            prompt, raw = config.format_of(cell.format).text(prompt), True
        sampling = replace(cell.sampling, seed=trial.seed)
        return Ask(prompt, sampling, cell.given | {"seed"}, raw, extras=Extras(self._logprobs(record)))

    def _logprobs(self, record: Record) -> int | None:
        return record.logprobs if tells_logprobs(self.target) else None


def tells_logprobs(target: Target) -> bool:
    """Whether log-probabilities can be asked of it: the SageMaker Runtime's dialects have no words for them."""
    return target.api != "sagemaker"


@asynccontextmanager
async def opened(found: Found, formats: Iterable[str], jobs: int) -> AsyncIterator[Opened]:
    """The target for the length of a run. formats: those that cells name.

    Raises:
        InputError: an unknown format. EngineError: it does not start, or there is nothing at its address.
    """
    target = found.target
    if found.settings is not None:
        spine = await config.open_spine(found.settings, found.model)
    else:
        spine = await config.open_address(_address(target))
    try:
        others = (
            {} if found.settings is None else {f: config.in_format(spine, found.model, f) for f in formats if f != AUTO}
        )
        yield Opened(found, spine, others, min(jobs, spine.info.slots or jobs))
    finally:
        await spine.engine.close()


def _address(target: Target) -> config.Address:
    """Who runs a plan asks again by himself, and keeps what came of each try."""
    name = target.model if target.api == "openai" else target.endpoint
    api: Literal["openai", "sagemaker"] = "openai" if target.api == "openai" else "sagemaker"
    return config.Address(
        target.url or "",
        api,
        name,
        format=target.format,
        dialect=target.dialect or DIALECT,
        context=target.context,
        retries=0,
    )


def _check_format(target: Target, name: str) -> None:
    """Refuse an unknown one before anything is asked.

    Raises:
        InputError: no such format, or no template in its file.
    """
    try:
        config.format_of(name)
    except InputError as error:
        raise InputError(f"the target {target.name!r}: {error}") from None


def checksum(path: Path, home: Path, progress: Report = _silent) -> str:
    """SHA-256 of a model's file. It is kept in puna's home by path, size and time of change, for a large file takes seconds."""
    found = path.resolve().stat()
    mark = [found.st_size, found.st_mtime_ns]
    kept = home / "checksums.json"
    known: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        known = dict(json.loads(kept.read_text(encoding="utf-8")))
    name = str(path.resolve())
    if name in known and known[name][:2] == mark:
        return str(known[name][2])
    known[name] = [*mark, sha256_of(path, progress)]
    with suppress(OSError):  # it is worth some seconds, no more
        home.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(known), encoding="utf-8")
        part.replace(kept)
    return str(known[name][2])

"""What an experiment is, as values, and the cells and trials that it makes. Knows no file, no engine and no store.

A *setting* is what is compared: target, system prompt, format and sampling. A *unit* is what settings are compared on: a prompt with
the values of its variables. A *cell* is a setting on a unit; a *trial* is one repeat of a cell with its own seed. A repeat has the
same seed in every cell, so that cells can be compared in pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from puna.generation import Sampling
from puna.messages import Dialog

AUTO = "auto"
"""As a format: the one that is the model's own."""


@dataclass(frozen=True, slots=True)
class Case:
    """Values for the variables of a prompt. name: how tables tell it. expected: the right answer, where there is one."""

    name: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    expected: str | None = None


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A prompt with ``{{variables}}``: either messages, or a text as a person writes it. raw: the text is sent as it is."""

    name: str
    messages: Dialog | None = None
    text: str | None = None
    raw: bool = False


@dataclass(frozen=True, slots=True)
class SystemPrompt:
    """A system message that prompts without one of their own are asked under. text: None for none."""

    name: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What answers. embedded: a model here, by the settings of ``puna serve``. openai, sagemaker: the server at ``url``.

    endpoint: its name at a SageMaker endpoint. model: the model's name at an OpenAI-compatible server, None for its only one.
    format: in which prompts are written for the server; None where that is its own affair. context: tokens of its window, where it does
    not tell. dialect: of a SageMaker endpoint's container; None: found out.
    """

    name: str
    api: Literal["embedded", "openai", "sagemaker"] = "embedded"
    settings: Mapping[str, object] = field(default_factory=dict)
    url: str | None = None
    endpoint: str = "llama-2-7b"
    model: str | None = None
    format: str | None = None
    context: int | None = None
    dialect: str | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """A sampling, without a seed. given: the parameters that the experiment sets, by name; the others are defaults."""

    name: str
    sampling: Sampling
    given: frozenset[str]


@dataclass(frozen=True, slots=True)
class Check:
    """A score that an experiment declares, of each output. kind: one of ``puna.experiments.checks.KINDS``; value: what it wants."""

    name: str
    kind: str
    value: object = None


@dataclass(frozen=True, slots=True)
class Continuation:
    """A text whose log-probability as the answer is found for each prompt. ``{{variables}}`` are filled in.

    group: continuations of one group are choices, of which the likeliest counts as the answer; None for one by itself.
    """

    name: str
    text: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of each answer besides its text. logprobs: alternatives of each token, 0 to 20; None for no log-probabilities.

    distributions: the likeliest tokens at each position of one answer to each prompt, for the figures of nuclei; 0 for none.
    """

    logprobs: int | None = None
    distributions: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """A setting on a unit. ask: what is asked, variables filled in, the system message included; a text is one that a person wrote.

    sampling: without a seed. given: see ``Variant``. values: of the variables that the prompt has. repeats: how many of the plan's seeds
    are used, the first ones; None for all.
    """

    index: int
    target: str
    prompt: str
    case: str
    system: str
    format: str
    variant: str
    ask: Dialog | str
    raw: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    given: frozenset[str] = frozenset()
    values: Mapping[str, str] = field(default_factory=dict)
    expected: str | None = None
    continuations: tuple[Continuation, ...] = ()
    repeats: int | None = None

    @property
    def setting(self) -> tuple[str, str, str, str]:
        """Target, system, format and variant, by name."""
        return (self.target, self.system, self.format, self.variant)

    @property
    def unit(self) -> tuple[str, str]:
        """Prompt and case, by name."""
        return (self.prompt, self.case)


@dataclass(frozen=True, slots=True)
class Trial:
    """One repeat of a cell, from 0, with its seed."""

    cell: Cell
    repeat: int
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run is to do. definition: what it was made from, as JSON values, for the store; it identifies the experiment.

    seconds: longest time of a trial. retries: how often a failed trial is tried again. checks: the scores that are declared.
    """

    name: str
    definition: Mapping[str, object]
    targets: tuple[Target, ...]
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    record: Record = field(default_factory=Record)
    checks: tuple[Check, ...] = ()
    seconds: float = 300.0
    retries: int = 2

    def trials(self) -> Iterator[Trial]:
        """Every repeat of every cell; all of a cell before the next one."""
        for cell in self.cells:
            for repeat, seed in enumerate(self.seeds[: cell.repeats]):
                yield Trial(cell, repeat, seed)

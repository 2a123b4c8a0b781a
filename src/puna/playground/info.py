"""What a page is told first: the model, the parameters and their ranges, presets, starters. Data, and nothing else.

Ranges are those of ``puna.generation``, narrowed where a slider over all of it would be useless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from puna.dialog.prune import POLICIES
from puna.generation import LEAST_TEMPERATURE, MAX_ALTERNATIVES, MAX_STOP, MAX_STOPS, RANGES, Sampling
from puna.playground.bodies import MAX_EXAMPLES, MAX_PANES, TOP
from puna.server.answers import Speaker
from puna.server.loading import Late
from puna.version import __version__


@dataclass(frozen=True, slots=True)
class Param:
    """A sampling parameter on the page. neutral: the value at which it changes nothing, None where there is no such thing.

    most: the largest value there, where the range goes beyond what makes a difference.
    """

    name: str
    label: str
    help: str
    step: float
    neutral: float | None = None
    most: float | None = None

    def as_json(self, context: int) -> dict[str, object]:
        """The parameter with its range and default; a window of ``context`` tokens bounds the answer's length."""
        _, low, high = RANGES[self.name]
        # Where nobody knows the window, nobody knows the longest answer either.
        most = (context or None) if self.name == "max_tokens" else min(high, self.most or high)
        return {
            "name": self.name,
            "label": self.label,
            "help": self.help,
            "min": low,
            "max": most,
            "step": self.step,
            "default": getattr(DEFAULTS, self.name),
            "neutral": self.neutral,
        }


DEFAULTS = Sampling()
"""The workshop's own values."""

PARAMS = (
    Param("temperature", "Temperature", "Divides the logits: 0 takes the likeliest token, 1 is the model's own odds.", 0.05, 1),
    Param("top_p", "Top-p", "Draws from the likeliest tokens that together reach this probability; 1 is off.", 0.01, 1),
    Param("top_k", "Top-k", "Draws from so many of the likeliest tokens; 0 is off.", 1, 0, 200),
    Param("min_p", "Min-p", "Drops tokens less likely than this share of the likeliest one; 0 is off.", 0.01, 0),
    Param("max_tokens", "Max tokens", "The longest reply, in tokens; so many are reserved in the window.", 1),
    Param("seed", "Seed", "The same seed gives the same reply; empty draws one and shows it.", 1),
    Param("repetition_penalty", "Repetition penalty", "Makes tokens that stand there already less likely; 1 is off.", 0.01, 1, 2),
    Param("presence_penalty", "Presence penalty", "Subtracted once from tokens that stand there already; 0 is off.", 0.05, 0),
    Param("frequency_penalty", "Frequency penalty", "Subtracted for each time that a token stands there; 0 is off.", 0.05, 0),
)  # fmt: skip

PRESETS: Mapping[str, Mapping[str, object]] = {
    "Notebook default": {},
    "Greedy": {"temperature": 0.0, "top_p": 1.0, "top_k": 0},
    "Focused": {"temperature": 0.3, "top_p": 0.8, "top_k": 40},
    "Creative": {"temperature": 1.0, "top_p": 0.95, "top_k": 0, "min_p": 0.05},
    "Neutral": {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0},
}
"""What each changes of the defaults."""

_POLICY_LABELS = {
    "watermark": ("Drop oldest turns, rarely", "cuts to a low mark when the window is full, then lets the start stand; keeps the prompt cache"),
    "oldest": ("Drop oldest turns, as few as must", "drops as little as possible, at every turn; the prompt cache is lost each time"),
    "none": ("Refuse", "sends nothing that does not fit"),
}  # fmt: skip

BEDROCK = (
    "Amazon Bedrock is a managed service of Amazon Web Services. It gives access to large language models of Amazon and of other "
    "makers through one API, so that nobody has to run them."
)
"""The workshop's subject, in our words: something that a model of 2023 cannot know."""

STARTERS: tuple[Mapping[str, object], ...] = (
    {"label": "What is re:Invent?", "message": "What is re:Invent?"},
    {
        "label": "Who are you?",
        "message": "Who are you?",
        "system": "You are Captain Salt, a cheerful pirate. You speak like a pirate.",
    },
    {"label": "Answer from a context", "message": "What is Amazon Bedrock?", "context": BEDROCK, "only": True},
)

EXAMPLE: Mapping[str, object] = {
    "context": BEDROCK,
    "only": True,
    "examples": [
        {"question": "Who makes Amazon Bedrock?", "answer": "Amazon Web Services."},
        {"question": "What does Amazon Bedrock cost?", "answer": "I don't know."},
    ],
    "question": "What is Amazon Bedrock?",
}
"""The workshop's lesson of in-context learning, with an example of each kind of answer."""


def presets() -> list[dict[str, object]]:
    """Each preset with a value for every parameter but the seed and the length."""
    every = {name: value for name, value in DEFAULTS.as_json().items() if name not in {"seed", "max_tokens", "stop"}}
    return [{"name": name, "params": {**every, **changes}} for name, changes in PRESETS.items()]


def info(speaker: Speaker, limits: Mapping[str, int]) -> dict[str, object]:
    """All of it. speaker: whose model it is. limits: of what transports and stores it."""
    engine = speaker.info
    return {
        "version": __version__,
        "model": engine.model,
        "engine": engine.build,
        "format": speaker.writes,
        "context": engine.context or None,
        "slots": engine.slots or None,
        "speaks": str(engine.speaks),
        "reproducible": engine.reproducible,
        "ready": not isinstance(speaker, Late) or speaker.loaded,
        "continues": speaker.writes is not None,
        "params": [param.as_json(engine.context) for param in PARAMS],
        "presets": presets(),
        "policies": [
            dict(zip(("name", "label", "help"), (name, *_POLICY_LABELS[name]), strict=True)) for name in POLICIES
        ],
        "starters": [dict(starter) for starter in STARTERS],
        "example": dict(EXAMPLE),
        "limits": {
            "panes": MAX_PANES,
            "top": MAX_ALTERNATIVES,
            "shown": TOP,
            "examples": MAX_EXAMPLES,
            "stops": MAX_STOPS,
            "stop_characters": MAX_STOP,
            "least_temperature": LEAST_TEMPERATURE,
            **limits,
        },
    }

"""The vendors' own templates in the environment of transformers, as oracles for the formats."""

from datetime import date
from typing import Any

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from puna.messages import Dialog
from tests.formats.dialogs import templates

FAMILY_OF = {
    "llama2": "llama-2", "llama3": "llama-3", "llama3.1": "llama-3.1", "llama3.2": "llama-3.2", "llama3.3": "llama-3.3",
    "llama4": "llama-4", "mistral-old": "mistral-old", "mistral-v1": "mistral-v1", "mistral-v3": "mistral-v3",
    "mistral-v3-tekken": "mistral-v3-tekken", "mistral-v7": "mistral-v7", "mistral-v7-tekken": "mistral-v7-tekken",
    "chatml": "chatml", "smollm2": "smollm2", "qwen2.5": "qwen2.5", "gemma2": "gemma-2", "gemma3": "gemma-3",
    "phi3": "phi-3", "phi3.5": "phi-3.5", "phi4": "phi-4", "phi4-fixed": "phi-4-fixed", "phi4-mini": "phi-4-mini",
    "zephyr": "zephyr", "tinyllama": "tinyllama", "vicuna": "vicuna", "deepseek-v2": "deepseek-v2",
    "deepseek-v3": "deepseek-v3", "deepseek-r1": "deepseek-r1",
}  # fmt: skip
"""Our name to the oracle's."""

CLOCK = date(2026, 11, 22)
"""What ``strftime_now`` told when the oracle's renders were made."""


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


class Vendor:
    """One vendor's template."""

    def __init__(self, source: dict[str, Any]) -> None:
        env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        env.globals["raise_exception"] = _raise
        env.globals["strftime_now"] = CLOCK.strftime
        self._template = env.from_string(source["text"])
        self._tokens = {name: source[name] for name in ("bos_token", "eos_token") if source[name] is not None}

    def text(self, dialog: Dialog, *, generation_prompt: bool) -> str | None:
        """What it writes, None where it refuses."""
        try:
            return self._template.render(
                messages=dialog.as_json(),
                add_generation_prompt=generation_prompt,
                tools=None,
                documents=None,
                **self._tokens,
            )
        except jinja2.TemplateError:
            return None


def vendors() -> dict[str, Vendor]:
    """By our names."""
    known = templates()
    return {name: Vendor(known[family]) for name, family in FAMILY_OF.items()}

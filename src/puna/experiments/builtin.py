"""The experiments that puna brings along, by name. Knows where their files are."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import as_file, files
from types import MappingProxyType

from puna.errors import InputError, unknown
from puna.experiments.experiment import Experiment

BUILTINS: Mapping[str, str] = MappingProxyType(
    {
        "hyperparameters": "what temperature, top-p, top-k and the longest answer do: the workshop's table of them, measured",
    }
)
"""Names and meanings."""


def builtin(name: str) -> Experiment:
    """An experiment that puna brings along.

    Raises:
        InputError: there is none of this name.
    """
    if name not in BUILTINS:
        raise InputError(unknown("built-in experiment", name, BUILTINS))
    with as_file(files("puna.experiments") / f"{name}.toml") as path:
        return Experiment.read(path)

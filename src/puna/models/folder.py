"""A folder that holds one model, as SageMaker lays one at ``/opt/ml/model``: which file it is. Knows names, and no model's inside.

A ``model.tar.gz`` is unpacked there as it was packed: the file alone, or in a folder of its own
(https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html, read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from puna.errors import ModelFileError

_PART = re.compile(r"(.*)-\d{5}-of-(\d{5})\.gguf", re.IGNORECASE | re.DOTALL)
"""How llama.cpp names the parts of a model that was split."""

_SHOWN = 3
"""Names that a sentence tells."""


def model_in(folder: Path) -> Path:
    """The one GGUF file in a folder; where there is none, the one in the folders in it. Hidden files are passed over: a Mac packs ``._NAME`` too.

    Raises:
        ModelFileError: none, several, the parts of a split model, or a folder that cannot be read.
    """
    try:
        here = _visible(folder)
        found = _models(here) or _models(file for inner in here if inner.is_dir() for file in _visible(inner))
    except OSError as error:
        raise ModelFileError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    if not found:
        holds = f"it holds {_told(here)}" if here else "it is empty"
        raise ModelFileError(
            f"there is no .gguf file in {folder}: {holds}; put the model's file there, or name a model with --model "
            "(PUNA_MODEL)"
        )
    if len(found) == 1:
        return found[0]
    parts = {(part[1], part[2]) for part in (_PART.fullmatch(file.name) for file in found) if part}
    if len(parts) == 1 and all(_PART.fullmatch(file.name) for file in found):
        raise ModelFileError(
            f"the model in {folder} is split into {int(next(iter(parts))[1])} parts; merge them with `llama-gguf-split --merge` first"
        )
    raise ModelFileError(
        f"there must be one model in {folder}, but there are {len(found)}: {_told(found)}; name the file with --model (PUNA_MODEL)"
    )


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _models(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.suffix.lower() == ".gguf" and path.is_file()]


def _told(paths: list[Path]) -> str:
    names = ", ".join(path.name for path in paths[:_SHOWN])
    return f"{names} and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else names

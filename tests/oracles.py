"""Data that others made, to test against. Lies outside the repository; ``PUNA_ORACLES`` names its folder."""

import json
import os
from pathlib import Path
from typing import Any

import pytest


def oracle(path: str) -> Path:
    """A file of the oracle folder; the test is skipped where there is no such folder."""
    folder = os.environ.get("PUNA_ORACLES")
    if not folder:
        pytest.skip("PUNA_ORACLES is not set: it names the folder with the vendors' data to test against")
    found = Path(folder) / path
    if not found.exists():
        pytest.skip(f"the oracle folder has no {path}")
    return found


def oracle_json(path: str) -> Any:
    return json.loads(oracle(path).read_text("utf-8"))

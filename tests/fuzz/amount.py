"""How much is fuzzed: a little in every test run, more where the environment says so."""

from __future__ import annotations

import os

INPUTS = int(os.environ.get("PUNA_FUZZ", "8000"))
"""Inputs in all, but for those of schemathesis; ``make fuzz`` takes 100,000."""

SEED = int(os.environ.get("PUNA_FUZZ_SEED", "1"))
"""Another one gives other inputs."""

LONG = INPUTS > 20_000

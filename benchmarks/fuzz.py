"""A hundred thousand hostile inputs: does anything fail, hang or grow?

Method: the fuzzers of tests/fuzz, longer: bodies with anything in every field of every dialect, dialogs full of control tokens in
every family's format, anything at any route, broken bytes for the decoders; all against the endpoint without a socket, over a scripted
engine. Each input is named by the seed and its number. An input fails the run where it is answered with a server error or not
within 10 s, where an answer does not read back to what the engine said, or where a control token comes from content. Resident
memory is told after each fifth of a fuzzer's inputs; each fifth has endpoints of its own, whose receipts are kept meanwhile.

Example: python -m benchmarks.fuzz --inputs 100000
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from typing import Any

import psutil
from tests.fuzz import control, decoders, fields, http
from tests.fuzz.asking import Tally

SHARES = {fields: 0.45, http: 0.3, control: 0.05, decoders: 0.2}
"""Of the inputs. A dialog of ``control`` is some six requests."""
PARTS = 5
"""In which a fuzzer's inputs are run, each with a seed of its own; memory is measured after each of them."""


def resident() -> float:
    """MiB of this process."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 2**20


def main() -> None:
    """Run and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    tally, began = Tally(), time.perf_counter()
    found: dict[str, Any] = {}
    for fuzzer, share in SHARES.items():
        name, mib, before = fuzzer.__name__.rpartition(".")[2], list[float](), tally.inputs
        for part in range(PARTS):
            fuzzer.main(int(args.inputs * share / PARTS), args.seed * PARTS + part, tally)
            mib.append(round(resident(), 1))
        found[name] = {"inputs": tally.inputs - before, "resident_mib": mib}
        print(f"{name:<10} {found[name]}")
    print(f"slowest: {tally.slowest:.3f} s, {tally.slowest_input[:200]}")
    statuses = {str(status or "no HTTP"): count for status, count in sorted(tally.statuses.items())}
    seconds = round(time.perf_counter() - began, 1)
    print(json.dumps({"benchmark": "fuzz", "inputs": tally.inputs, "seconds": seconds, "slowest_s": round(tally.slowest, 3),
                      "server_errors": sum(n for status, n in tally.statuses.items() if status >= 500), "statuses": statuses, **found}))  # fmt: skip


if __name__ == "__main__":
    main()

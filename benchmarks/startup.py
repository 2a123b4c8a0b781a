"""How long until puna is there? Three waits of a user, on this machine, with the model already pulled.

Method: each figure is the median of RUNS whole processes, one after another, after one that is not counted.
import: ``python -c "import puna"`` less ``python -c pass``, in pairs. serve: ``puna serve`` from exec to its ready line.
first token: ``puna run`` from exec to the first byte on standard output, model load included.
Run: python benchmarks/startup.py [--runs N]. The last line is JSON; seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

PUNA = str(Path(sys.executable).parent / "puna")


def seconds(command: list[str]) -> float:
    """A whole process."""
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def until_output(command: list[str]) -> float:
    """From exec to the first byte on standard output; the process is then ended."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    first = os.read(process.stdout.fileno(), 1)
    took = time.perf_counter() - began
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert first, "the process ended without a word"
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    found: dict[str, list[float]] = {"import": [], "serve_ready": [], "first_token": []}
    for n in range(runs + 1):
        importing = seconds([sys.executable, "-c", "import puna"]) - seconds([sys.executable, "-c", "pass"])
        serving = until_output([PUNA, "serve", "--port", "0"])
        token = until_output([PUNA, "run", "--max-tokens", "5", "What is a puna?"])
        if n:
            for name, value in zip(found, (importing, serving, token), strict=True):
                found[name].append(value)
    figures = {}
    for name, values in found.items():
        figures[name] = {"median": round(statistics.median(values), 4), "worst": round(max(values), 4)}
        print(f"{name:<12} median {figures[name]['median']:.3f} s, worst {figures[name]['worst']:.3f} s of {runs}")
    print(json.dumps({"benchmark": "startup", "runs": runs, "cores": os.cpu_count(), "seconds": figures}))


if __name__ == "__main__":
    main()

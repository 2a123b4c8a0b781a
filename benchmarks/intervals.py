"""Do the intervals hold what they say, and how often is a test wrong? Simulated values, whose truth is known.

Intervals of a mean at 95 %: the share that holds the true mean, of puna's, of scipy's BCa bootstrap and of Student's t. Distributions: normal;
lengths, geometric with mean 50 and cut at 60 tokens; exponential; lognormal. Tests at 5 %: the share that is significant where nothing
differs, of puna's paired test on differences, and on diversity of puna's test and of one that swaps outputs between the two sides: where both
sides write the same words, and where they write other words that are as varied. Power: what is computed beside what is found.
Run: python benchmarks/intervals.py [--samples N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from puna.experiments.permutation import paired_tests
from puna.experiments.stats import mean_interval, power, pseudo_values

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]


def _lengths(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return np.minimum(random.geometric(1 / 50, shape), 60).astype(np.float64)


DISTRIBUTIONS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda random, shape: random.normal(0, 1, shape), 0.0),
    "lengths": (_lengths, 50 * (1 - (1 - 1 / 50) ** 60)),
    "exponential": (lambda random, shape: random.exponential(1, shape), 1.0),
    "lognormal": (lambda random, shape: random.lognormal(0, 1, shape), float(np.exp(0.5))),
}
SIZES = (4, 8, 16, 32)


def coverage(samples: int) -> dict[str, dict[str, list[float]]]:
    """Share of intervals that hold the true mean: of puna, BCa and t, by distribution and n."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, (draw, truth) in DISTRIBUTIONS.items():
        found[name] = {}
        for n in SIZES:
            held = np.zeros(3)
            for sample in draw(np.random.default_rng(n), (samples, n)):
                if np.ptp(sample) > 0:  # of n equal values nobody has an interval that holds anything else
                    held += _held(sample, truth)
            found[name][str(n)] = (held / samples).round(3).tolist()
            print(
                f"{name:12} n={n:3}: puna {held[0] / samples:.3f}, BCa {held[1] / samples:.3f}, t {held[2] / samples:.3f}",
                flush=True,
            )
    return found


def _held(sample: Floats, truth: float) -> list[bool]:
    theirs = scipy_stats.bootstrap(
        (sample,), np.mean, n_resamples=1999, rng=np.random.default_rng(1)
    ).confidence_interval
    reach = float(scipy_stats.t.ppf(0.975, len(sample) - 1)) * sample.std(ddof=1) / np.sqrt(len(sample))
    return [
        mean_interval(sample).holds(truth),
        bool(theirs.low <= truth <= theirs.high),
        bool(abs(sample.mean() - truth) <= reach),
    ]


def wrong(samples: int) -> dict[str, float]:
    """Share of tests of pairs that are significant where nothing differs, by n."""
    found = {}
    for n in (6, 8, 12, 24):
        a, b = (DISTRIBUTIONS["exponential"][0](np.random.default_rng(seed), (samples, n)) for seed in (1, 2))
        found[str(n)] = round(float(np.mean([test.p <= 0.05 for test in paired_tests(list(b - a))])), 3)
    return found


def alike(points: Floats) -> Floats:
    """Similarities of points in the plane, 1 where they are the same, 0 far away."""
    apart: Floats = ((points[:, None] - points[None]) ** 2).sum(-1)
    return np.asarray(np.exp(-apart / 4), dtype=np.float64)


def swapped(similarities: Floats) -> Floats:
    """Numbers whose signs turn as outputs of a pair are swapped between the sides."""
    n = len(similarities) // 2
    aa, bb, ab = similarities[:n, :n], similarities[n:, n:], similarities[:n, n:]
    each: Floats = aa - bb + ab - ab.T
    return np.asarray(each.sum(axis=1) - np.diagonal(each), dtype=np.float64)


def diversities(samples: int) -> dict[str, dict[str, list[float]]]:
    """Share of tests of equally varied sides that are significant: of puna and of swapping, by what they write and n."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, away in (("the same", 0.0), ("other words", 50.0)):
        found[name] = {}
        for n in (8, 16):
            random = np.random.default_rng(n)
            ours, theirs = [], []
            for _ in range(samples):
                matrix = alike(np.vstack([random.normal(size=(n, 2)), random.normal(size=(n, 2)) + away]))
                ours.append(pseudo_values(matrix[n:, n:]) - pseudo_values(matrix[:n, :n]))
                theirs.append(swapped(matrix))
            found[name][str(n)] = [
                round(float(np.mean([test.p <= 0.05 for test in paired_tests(sets)])), 3) for sets in (ours, theirs)
            ]
    return found


def powers(samples: int) -> dict[str, list[float]]:
    """Power at a true difference of half a standard deviation: computed and found, by n."""
    found = {}
    for n in (8, 20, 40):
        tests = paired_tests(list(np.random.default_rng(n).normal(0.5, 1, (samples, n))))
        found[str(n)] = [round(power(n, 1, 0.5), 3), round(float(np.mean([test.p <= 0.05 for test in tests])), 3)]
    return found


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    samples = parser.parse_args().samples
    told = {
        "coverage: puna, BCa, t": coverage(samples),
        "wrong": wrong(4 * samples),
        "wrong of diversity: puna, swapping": diversities(2 * samples),
        "power: computed, found": powers(2 * samples),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()

"""Coverage of the prediction-powered rate: ``python tests/benchmarks/calibration_powered.py 400``.

Real and simulated successes from the same starts, their latent difficulty correlated; 100 cells of
as many simulated sessions as are asked for.
"""

import sys
from itertools import product

import numpy as np
from scipy import stats as sps

from benchmarks import stats

PAIRS = ((10, 200), (20, 200), (50, 200), (50, 50), (100, 400))
RATES = ((0.5, 0.5), (0.8, 0.7), (0.9, 0.95), (0.95, 0.8), (0.3, 0.6))
LIKENESS = (0.0, 0.5, 0.9, 0.98)

Draw = tuple[np.ndarray, np.ndarray]


def draw(rates: tuple[float, float], likeness: float, n: int, rng: np.random.Generator) -> Draw:
    """Return (n,) real and simulated successes."""
    hard, own = np.sqrt(likeness) * rng.normal(size=n), np.sqrt(1 - likeness)
    real, simulated = (hard + own * rng.normal(size=n) < sps.norm.ppf(rate) for rate in rates)
    return real, simulated


def measure(sessions: int) -> None:
    """Print coverage and width of every cell, and of all."""
    rng, covered, of_plain = np.random.default_rng(0), [], []
    say("pairs further  real  sim  likeness  covers  plain  width/plain")
    for (n, extra), rates, likeness in product(PAIRS, RATES, LIKENESS):
        found = [
            stats.powered_rate(*draw(rates, likeness, n, rng), draw(rates, likeness, extra, rng)[1])
            for _ in range(sessions)
        ]
        inside = np.mean([rates[0] in f.interval for f in found])
        plain = np.mean([rates[0] in f.plain_interval for f in found])
        width = np.mean([f.interval.half_width for f in found])
        width /= np.mean([f.plain_interval.half_width for f in found])
        covered.append(inside)
        of_plain.append(plain)
        cell = f"{n:5} {extra:7} {rates[0]:5} {rates[1]:4} {likeness:9}"
        say(f"{cell} {inside:7.3f} {plain:6.3f} {width:8.2f}")
    told = f"mean {np.mean(covered):.3f}, least {min(covered):.3f}, most {max(covered):.3f}"
    say(f"covers: {told}; the plain interval: mean {np.mean(of_plain):.3f}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 400)

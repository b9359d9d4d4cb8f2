"""Simulated benchmarks with known truth. Run it to print the tables of docs/statistics.md.

``python tests/benchmarks/calibration.py 2000`` takes a few minutes; the tests run fewer.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import stats
from benchmarks.stats.compare import sign_flip

HARD_SD, REST_SD, SHARED = 1.5, 0.5, 0.7


@dataclass(frozen=True)
class World:
    """Two algorithms of equal expected success; log-odds are sums of normal effects.

    Attributes:
        seeds: training seeds of each arm.
        ics: initial conditions, met by every checkpoint.
        seed_sd: standard deviation of the seed effect of each arm.
        mean: log-odds of an average seed on an average start.
    """

    seeds: int = 3
    ics: int = 100
    seed_sd: tuple[float, float] = (0.0, 0.0)
    mean: float = 1.4

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return successes (seeds, ics) of both arms; starts are correlated .7 between them."""
        hard = rng.normal(0, HARD_SD, self.ics)
        return self._arm(rng, hard, self.seed_sd[0]), self._arm(rng, hard, self.seed_sd[1])

    def _arm(self, rng: np.random.Generator, hard: np.ndarray, seed_sd: float) -> np.ndarray:
        own = np.sqrt(SHARED) * hard + np.sqrt(1 - SHARED) * rng.normal(0, HARD_SD, self.ics)
        seed = rng.normal(0, seed_sd, (self.seeds, 1))
        logit = self.mean + own + seed + rng.normal(0, REST_SD, (self.seeds, self.ics))
        return rng.random((self.seeds, self.ics)) < 1 / (1 + np.exp(-logit))

    @property
    def rate(self) -> float:
        """Expected success of the first arm over seeds and starts."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        total = np.sqrt(self.seed_sd[0] ** 2 + HARD_SD**2 + REST_SD**2)
        chance = 1 / (1 + np.exp(-(self.mean + total * nodes)))
        return float(np.sum(weights * chance) / np.sum(weights))

    @property
    def seed_points(self) -> float:
        """Standard deviation of the success of checkpoints of the first arm, in points."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(40)
        rates = np.array(
            [
                World(seed_sd=(0.0, 0.0), mean=self.mean + self.seed_sd[0] * node).rate
                for node in nodes
            ]
        )
        weights = weights / weights.sum()
        return 100 * float(np.sqrt(weights @ rates**2 - (weights @ rates) ** 2))


@dataclass(frozen=True)
class Calibration:
    """Shares of simulated benchmarks.

    Attributes:
        rejected: algorithm comparison with p <= .05 (type I error).
        naive: the same with the seeds taken as fixed.
        difference: interval of the difference covers 0.
        clustered: ``algorithm_interval`` covers the true rate.
        pooled: Wilson on all trials covers it.
    """

    rejected: float
    naive: float
    difference: float
    clustered: float
    pooled: float


def calibrate(world: World, rng: np.random.Generator, runs: int) -> Calibration:
    """Return error rate and coverages over ``runs`` simulated benchmarks."""
    seen = np.zeros(5)
    for _ in range(runs):
        a, b = world.draw(rng)
        found = stats.compare(stats.Outcomes(a), stats.Outcomes(b))
        seen += (
            found.p <= 0.05,
            sign_flip(a, b) <= 0.05,
            found.low <= 0 <= found.high,
            world.rate in stats.algorithm_interval(a),
            world.rate in stats.wilson(int(a.sum()), a.size),
        )
    return Calibration(*(seen / runs))


def main(runs: int) -> None:
    """Print the tables as Markdown."""
    out = sys.stdout.write
    out("| seeds | starts | seed sd A, B (points A) | type I | seeds fixed | covers difference ")
    out("| `algorithm_interval` | pooled Wilson |\n|---|---|---|---|---|---|---|---|\n")
    for seeds, ics in ((3, 50), (3, 200), (5, 200)):
        for sds in ((0.0, 0.0), (0.2, 0.2), (0.5, 0.5), (1.0, 1.0), (0.5, 0.0), (1.0, 0.0)):
            world = World(seeds, ics, sds)
            found = calibrate(world, np.random.default_rng(0), runs)
            name = f"{sds[0]:g}, {sds[1]:g} ({world.seed_points:.0f})"
            shares = (found.rejected, found.naive, found.difference, found.clustered, found.pooled)
            cells = " | ".join(f"{share:.3f}" for share in shares)
            out(f"| {seeds} | {ics} | {name} | {cells} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)

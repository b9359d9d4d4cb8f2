"""What a prediction of trained policies costs, side by side.

``python -m perf.latency runs/act runs/diffusion runs/diffusion@2 --json results/latency.json``:
``@2`` predicts by two denoising steps. One observation, one thread, CPU time, by turns, so that a
busy minute meets them all; with ``--json`` ``python -m scripts.tables`` shows it. What the file has
of other policies is kept, if it is of the same machine, torch and count.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.manifest import cpu_name
from benchmarks.timing import BLOCK, by_turns, sampler
from envs.errors import UsageError
from policies.base import Policy
from policies.checkpoint import load_policy
from policies.trained import LearnedPolicy, use_ddim_steps

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Latency:
    """What a prediction costs.

    Attributes:
        policy: its name.
        weights: hash of its weights, as in the manifests of its runs.
        ddim_steps: denoising steps where they were given; None: its own.
        cpu_ms: median CPU time of a prediction for one observation.
    """

    policy: str
    weights: str
    ddim_steps: int | None
    cpu_ms: float


def measure(named: list[str], count: int) -> list[Latency]:
    """Time ``count`` predictions of each policy, in blocks by turns.

    Args:
        named: checkpoint folders, each with ``@`` and denoising steps behind it, or without.
        count: predictions of each.

    Raises:
        UsageError: a checkpoint that does not load, or steps that it cannot take.
    """
    loaded = [_loaded(one) for one in named]
    each = [sampler(policy, folder, time.process_time) for policy, folder, _ in loaded]
    return [
        Latency(policy.name, _weights(policy), steps, round(statistics.median(found), 4))
        for (policy, _, steps), found in zip(loaded, by_turns(each, count), strict=True)
    ]


def _loaded(named: str) -> tuple[Policy, Path, int | None]:
    folder, at, steps = named.partition("@")
    if at and not steps.isdigit():
        raise UsageError(f"{named}: behind @ stands a number of denoising steps, got {steps!r}")
    policy = load_policy(folder, threads=1)
    use_ddim_steps(policy, int(steps) if at else None)
    return policy, Path(folder), int(steps) if at else None


def _weights(policy: Policy) -> str:
    if not isinstance(policy, LearnedPolicy):
        raise UsageError(f"{policy.name} has no weights")
    return str(policy.provenance["hashes"][WEIGHTS])


def main() -> int:
    """Measure what is asked for; return 2 where it cannot be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("policies", nargs="+", metavar="DIR[@STEPS]")
    parser.add_argument("--count", type=int, default=200, help="predictions of each")
    parser.add_argument("--json", type=Path, help="written, too")
    given = parser.parse_args()
    try:
        found = measure(given.policies, max(BLOCK, given.count))
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for one in found:
        own = "" if one.ddim_steps is None else f", {one.ddim_steps} steps"
        sys.stdout.write(f"{one.policy}{own}: {one.cpu_ms:.3g} ms CPU a prediction\n")
    if given.json is not None:
        write(given.json, found, max(BLOCK, given.count))
    return 0


def write(path: Path, found: Sequence[Latency], count: int) -> None:
    """Write what was found; of other policies keep what ``path`` says of the same machine."""
    told: dict[str, Any] = {"cpu": cpu_name(), "torch": torch.__version__, "threads": 1}
    told["count"] = count
    before = json.loads(path.read_text()) if path.is_file() else {}
    same = told.items() <= before.items()
    new = {(one.weights, one.ddim_steps): asdict(one) for one in found}
    old = {(one["weights"], one["ddim_steps"]): one for one in before.get("policies", ())}
    told["policies"] = list(((old if same else {}) | new).values())
    path.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())

"""From an empty checkpoint folder to a policy that succeeds nine times in ten."""

import tempfile
from pathlib import Path

from benchmarks.records import read_run
from benchmarks.run import EvaluateConfig, evaluate
from envs.collect import collect
from envs.collection import Collection
from perf.ratio import Seconds
from policies.checkpoint import load_checkpoint
from policies.train import train
from policies.train_config import TrainConfig

EPISODES, TRIALS, WANTED = 50, 200, 0.9


def act_to_90() -> Seconds:
    """Time the quick preset of ACT."""
    return _to_90("act", 120)


def diffusion_to_90() -> Seconds:
    """Time the quick preset of Diffusion Policy."""
    return _to_90("diffusion", 300)


def _to_90(algorithm: str, goal: float) -> Seconds:
    """Train on 50 demonstrations and count successes from 200 starts of the ``dev`` split.

    Returns:
        The wall-clock time of the training, if at least 90 % succeed.
    """
    with tempfile.TemporaryDirectory() as folder:
        data, checkpoint = Path(folder) / "data", Path(folder) / algorithm
        collect(Collection("pick_place"), EPISODES, data, workers=2)
        train(TrainConfig(algorithm, data, checkpoint, preset="quick", threads=2))
        seconds = float(load_checkpoint(checkpoint).provenance["training"]["wall_s"])
        done = evaluate(
            EvaluateConfig(
                policy=str(checkpoint),
                results=Path(folder),
                conditions=("nominal",),
                trials=TRIALS,
                split="dev",
                workers=2,
                videos="none",
            )
        )
        successes = sum(trial["success"] for trial in read_run(done.folder).trials)
    rate = successes / TRIALS
    what = f"{algorithm}, quick preset, {EPISODES} demonstrations: {rate:.0%} of {TRIALS}"
    return Seconds(what, goal, seconds if rate >= WANTED else None)

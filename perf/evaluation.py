"""Trials in waves on all cores against one trial after another."""

import os
import tempfile
import time
from pathlib import Path

from benchmarks.protocol import PROTOCOLS
from benchmarks.run import EvaluateConfig, evaluate
from envs.collect import collect
from envs.collection import Collection
from envs.env import make
from perf.ratio import Ratio
from policies.base import Policy
from policies.checkpoint import load_policy
from policies.chunking import Controller
from policies.train import train
from policies.train_config import TrainConfig

TASK, PROTOCOL = "pick_place", "pick_place/v1"
OURS, THEIRS = 200, 8  # trials a round
ROUNDS = 3


def diffusion_trials() -> Ratio:
    """Time trials of Diffusion Policy, whose prediction is the larger part of the work."""
    return _trials("diffusion", 8)


def act_trials() -> Ratio:
    """Time trials of ACT, whose work is mostly physics: two cores are the limit."""
    return _trials("act", 2)


def _trials(algorithm: str, goal: float) -> Ratio:
    """Time ``armtrials evaluate`` against a loop over single trials, both from start to records.

    The policy is hardly trained (one step), so that every trial goes to the horizon and all do
    the same work.
    """
    with tempfile.TemporaryDirectory() as folder:
        data, checkpoint = Path(folder) / "data", Path(folder) / algorithm
        collect(Collection(TASK), 8, data)
        train(TrainConfig(algorithm, data, checkpoint, steps=1))
        policy = load_policy(str(checkpoint))
        rounds = [
            (_ours(checkpoint, Path(folder) / f"round{i}"), _theirs(policy)) for i in range(ROUNDS)
        ]
    ratios = sorted(theirs / ours for ours, theirs in rounds)
    ours, theirs = (sorted(times)[ROUNDS // 2] for times in zip(*rounds, strict=True))
    what = f"a trial of {algorithm}: waves : one by one"
    return Ratio(what, goal, ratios[ROUNDS // 2], ratios[0], ratios[-1], ours, theirs, "wall")


def _ours(checkpoint: Path, results: Path) -> float:
    """Return the seconds a trial of ``armtrials evaluate`` takes, processes' start included."""
    config = EvaluateConfig(
        policy=str(checkpoint),
        results=results,
        conditions=("nominal",),
        trials=OURS,
        workers=os.cpu_count() or 1,
        videos="none",
    )
    started = time.perf_counter()
    evaluate(config)
    return (time.perf_counter() - started) / OURS


def _theirs(policy: Policy) -> float:
    """Return the seconds a trial takes in the usual loop over an environment."""
    env, controller = make(TASK), Controller(policy)
    protocol = PROTOCOLS[PROTOCOL]
    started = time.perf_counter()
    for ic in range(THEIRS):
        observation, _ = env.reset(options={"start": protocol.start("nominal", ic)})
        controller.reset([env.instruction], [protocol.seeds(ic)["policy"]])
        over = False
        while not over:
            batch = {key: value[None] for key, value in observation.items()}
            observation, _, terminated, truncated, _ = env.step(controller.action(batch)[0])
            over = terminated or truncated
    return (time.perf_counter() - started) / THEIRS

"""The experiments by name: importing this package fills ``EXPERIMENTS``."""

from benchmarks.experiment import EXPERIMENTS
from benchmarks.experiments import (
    checkpoints,
    demonstrations,
    deployment,
    modes,
    pretraining,
    sim2real,
)

__all__ = [
    "EXPERIMENTS",
    "checkpoints",
    "demonstrations",
    "deployment",
    "modes",
    "pretraining",
    "sim2real",
]

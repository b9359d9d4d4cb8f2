"""What others say about how many demonstrations a task takes: to stand beside what is measured.

Published figures are of other simulators, arms and start distributions: they say what to expect,
not what to reach. The rules of thumb are claims to be tested: they circulate in practical guides to
imitation learning without a measurement behind them.
"""

from dataclasses import dataclass

ALOHA = (
    "Zhao et al., Learning Fine-Grained Bimanual Manipulation with Low-Cost Hardware, RSS 2023, "
    "table I (simulated)"
)
RULE = "rule of thumb of practical guides, without a published measurement"


@dataclass(frozen=True)
class Reference:
    """A figure from elsewhere.

    Attributes:
        task: our task that is nearest; also of its variants ``<task>_...``.
        algorithm: registered algorithm.
        demonstrations: how many.
        low, high: success; equal for a single figure.
        about: of what exactly.
        source: where it stands.
        measured: whether it is a measurement.
    """

    task: str
    algorithm: str
    demonstrations: int
    low: float
    high: float
    about: str
    source: str
    measured: bool


def _rules(task: str, about: str, act: int, diffusion: int, low: float, high: float) -> list[
    Reference
]:  # fmt: skip
    counts = (("act", act), ("diffusion", diffusion))
    return [Reference(task, name, n, low, high, about, RULE, False) for name, n in counts]


REFERENCES = (
    *_rules("pick_place", "simple pick and place", 50, 100, 0.80, 0.95),
    *_rules("transfer", "bimanual coordination", 100, 200, 0.70, 0.85),
    *_rules("insertion", "precise insertion", 200, 300, 0.65, 0.80),
    *_rules("assembly", "assembly in several steps", 500, 500, 0.50, 0.70),
    Reference("transfer", "act", 50, 0.86, 0.86, "cube transfer, scripted", ALOHA, True),
    Reference("transfer", "act", 50, 0.50, 0.50, "cube transfer, human", ALOHA, True),
    Reference("insertion_pair", "act", 50, 0.32, 0.32, "bimanual insertion, scripted", ALOHA, True),
    Reference("insertion_pair", "act", 50, 0.20, 0.20, "bimanual insertion, human", ALOHA, True),
)


def references(task: str) -> list[Reference]:
    """Return what is said about a task or its variant, measurements first."""
    near = [r for r in REFERENCES if task == r.task or task.startswith(f"{r.task}_")]
    return sorted(near, key=lambda r: (not r.measured, r.algorithm, r.demonstrations, -r.high))

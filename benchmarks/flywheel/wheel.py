"""What a turn of the flywheel is made of, and the training that it asks for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.flywheel.log import KINDS
from benchmarks.gate.verdict import artefact_hash, file_hash
from envs.errors import UsageError
from policies.checkpoint import load_network
from policies.checkpoint_files import read_json
from policies.train_config import TrainConfig


@dataclass(frozen=True)
class Wheel:
    """What a turn is made of.

    Attributes:
        policy: checkpoint folder of the policy that was at work.
        data: demonstrations that it learned from.
        logs: of its deployments.
        out: folder of the turn.
        use: kinds of ``benchmarks.flywheel.log`` that are learned from.
        count: starts to propose, and demonstrations to make from them.
        demonstrations: those that a person made from the proposed starts; None: the scripted
            expert makes them.
        fresh: train from scratch, not on from the policy's weights.
        steps: gradient steps; None: the preset's, half as many where training goes on.
        trials: paired trials of the comparison.
        seed: of the proposals and of the training.
        results: folder that takes the runs of the comparison.
    """

    policy: Path
    data: Path
    logs: tuple[Path, ...]
    out: Path
    use: tuple[str, ...] = ("intervention", "recovery")
    count: int = 25
    demonstrations: Path | None = None
    fresh: bool = False
    steps: int | None = None
    trials: int = 50
    seed: int = 0
    results: Path = Path("evaluations")

    def __post_init__(self) -> None:
        """Refuse what cannot be, naming the choices."""
        for kind in self.use:
            if kind not in KINDS:
                raise UsageError(f"unknown --use {kind!r}; known: {', '.join(KINDS)}")
        if self.count < 0 or self.trials < 50:
            raise UsageError(
                f"--count must be at least 0 and --trials at least 50, got {self.count}, "
                f"{self.trials}"
            )
        if self.out.resolve() in {p.resolve() for p in (self.policy, self.data, *self.logs)}:
            raise UsageError("--out must be a folder of its own")

    def identity(self) -> dict[str, Any]:
        """Return what decides what comes out."""
        return {
            "policy": artefact_hash(self.policy), "data": file_hash(self.data),
            "logs": [str(log) for log in self.logs], "use": list(self.use), "count": self.count,
            "fresh": self.fresh, "steps": self.steps, "trials": self.trials, "seed": self.seed,
        }  # fmt: skip

    @property
    def dataset(self) -> Path:
        """Folder of the data that the new policy learns from."""
        return self.out / "data"

    @property
    def made(self) -> Path:
        """Folder of the new policy."""
        return self.out / "policy"

    @property
    def control(self) -> Path:
        """Folder of a policy that was trained as the new one, on the old data alone."""
        return self.out / "control"


def config_of(wheel: Wheel, data: Path, out: Path) -> TrainConfig:
    """Return a training on ``data`` with settings, preset and track of the old policy."""
    old = load_network(wheel.policy)
    told = read_json((wheel.policy / "config.json").read_bytes(), wheel.policy / "config.json")
    chunk, size = old.spec.chunk, told["image_size"]
    config = TrainConfig(
        algo=str(old.provenance["algorithm"]),
        data=data,
        out=out,
        track=old.spec.track,
        preset=str(old.provenance["preset"]),
        seed=wheel.seed,
        blind=bool(old.provenance["blind"]),
        image_size=tuple(size) if size else None,
        initial=None if wheel.fresh else wheel.policy,
        chunk=chunk,
    )
    usual = config.resolve().training.steps
    steps = wheel.steps or (usual if wheel.fresh else max(1, usual // 2))
    return TrainConfig(**{**vars(config), "steps": steps})

"""Made-up runs with several tasks, numbers of demonstrations, and starts of demonstrations."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_runs import MadeUp, Maker, sha, write_run

from envs.start_features import spots

ABILITY = {10: -0.9, 25: 0.1, 50: 1.0, 100: 1.7, 200: 2.1}


@dataclass(frozen=True)
class DemandMaker(Maker):
    """Writes runs of a task with some demonstrations that start in part of the box."""

    task: str = "pick_place"
    demonstrations: int = 50

    def protocol(self) -> dict[str, Any]:
        """Return the protocol, under another id for another task."""
        found = super().protocol()
        return found if self.task == "pick_place" else {**found, "id": f"{self.task}/v1"}

    def manifest(self, policy: MadeUp, seed: int) -> dict[str, Any]:
        """Return a manifest that says where the demonstrations started."""
        made = super().manifest(policy, seed)
        n = self.demonstrations
        rng = np.random.default_rng(n)
        rows = np.column_stack([rng.uniform(0.30, 0.50, n), rng.uniform(-0.15, 0.15, n)])
        starts = {"columns": ["cube.x", "cube.y"], "rows": np.round(rows, 4).tolist()}
        data = {"fingerprint": sha(f"data{n}".encode()), "episodes": n}
        made["policy"]["data"] |= {**data, "starts": None if policy.floor else starts}
        made["policy"]["hashes"]["weights"] = sha(f"{policy.name}{seed}{n}{self.task}".encode())
        made["task"] = self.task
        made["run"] += f"-{n}"
        return made

    def records(self, policy: MadeUp, seed: int) -> list[dict[str, Any]]:
        """Return trials of this task; with the object pushed out of the box where it was."""
        found = super().records(policy, seed)
        for record in found:
            record["key"] |= {"task": self.task, "protocol": self.protocol()["id"]}
            condition = record["key"]["condition"]
            if condition.startswith("object_pose/"):
                record["start"]["objects"]["cube"][0] = 0.50 + 0.05 * int(condition[-1])
        return found

    def write(self, policy: MadeUp, seed: int) -> Path:
        """Write one sealed run folder and return it."""
        manifest, records = self.manifest(policy, seed), self.records(policy, seed)
        folder = self.results / "runs" / f"{self.task}_v1" / f"{self.track}-{manifest['run']}"
        return write_run(folder, manifest, records)


def write_demands(results: Path, counts: tuple[int, ...] = (10, 50, 200), trials: int = 40) -> None:
    """Write two algorithms and a floor on pick_place, with some numbers of demonstrations."""
    conditions = ("object_pose/L1", "object_pose/L3")
    maker = DemandMaker(results, trials=trials, conditions=conditions)
    for n in counts:
        for name, lead in (("act", 0.2), ("diffusion", 0.0)):
            policy = MadeUp(name, ABILITY[n] + lead, seeds=(0,))
            replace(maker, demonstrations=n).write(policy, 0)
    maker.write(MadeUp("replay", -0.9, 0.8, 0.0, 0.05, 0, True, (0,)), 0)


def write_tasks(results: Path, tasks: tuple[str, ...], trials: int = 40) -> None:
    """Write a few algorithms on several tasks; one of them is missing on the last."""
    for k, task in enumerate(tasks):
        maker = DemandMaker(results, trials=trials, conditions=("nominal",), task=task)
        policies = [("act", 1.5), ("diffusion", 1.8), ("bc", 0.2)][: 3 if k + 1 < len(tasks) else 2]
        for name, ability in policies:
            maker.write(MadeUp(name, ability - 0.7 * k, seeds=(0,)), 0)
        maker.write(MadeUp("hold", -9.0, 1.0, 0.0, 0.01, 0, True, (0,)), 0)


__all__ = ["DemandMaker", "spots", "write_demands", "write_tasks"]

"""A closed session of made-up policies whose simulated runs lie beside it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_runs import MadeUp, Maker, frames

from benchmarks.protocol import PROTOCOLS
from benchmarks.session.closed import Closed, ClosedTrial, Labels, Look
from benchmarks.stats import SignTest, Stopping
from benchmarks.video import write_mp4

PROTOCOL = PROTOCOLS["pick_place/v1"]
STAGES = ("near", "grasp", "lift", "carry", "release", "rest")
GOOD, POOR = MadeUp("act", 1.3, seeds=(0,)), MadeUp("bc", -0.4, seeds=(0,))
OTHERS = tuple(MadeUp(f"p{i}", ability, seeds=(0,)) for i, ability in enumerate((-1, 0.1, 0.6, 2)))


@dataclass(frozen=True)
class MadeSession:
    """What a session is made of: each trial here ends as its simulated one, or with luck not."""

    folder: Path
    policies: tuple[MadeUp, ...] = (GOOD, POOR)
    blocks: int = 20
    simulated: int = 200
    luck: float = 0.1
    films: int = 0
    seed: int = 0

    @property
    def maker(self) -> Maker:
        """Writes simulated runs."""
        return Maker(self.folder / "results", self.simulated, ("nominal",), videos=False)

    def write_simulated(self, policies: tuple[MadeUp, ...] = ()) -> None:
        for policy in policies or self.policies:
            self.maker.write(policy, 0)

    def trials(self) -> list[ClosedTrial]:
        rng = np.random.default_rng(self.seed)
        records = {p.name: self.maker.records(p, 0) for p in self.policies}
        found: list[ClosedTrial] = []
        for block in range(self.blocks):
            for name in rng.permutation(list(records)):
                record = records[str(name)][block]
                success = bool(record["success"]) != bool(rng.random() < self.luck)
                code = f"K{len(found)}"
                film = ""
                if block < self.films:
                    film = f"films/{code}.mp4"
                    write_mp4(self.folder / film, frames(success, block), fps=12)
                found.append(self.trial((len(found), block), str(name), success, film))
        return found

    def trial(self, where: tuple[int, int], name: str, success: bool, film: str) -> ClosedTrial:
        order, block = where
        labels = Labels(success, 6 if success else 2, None if success else "dropped")
        off = 0.2 + 0.1 * (order % 38)
        return ClosedTrial(
            f"K{order}", name, block, block, 0, order, PROTOCOL.start("nominal", block).to_json(),
            {"ok": True, "objects": {"cube": {"off_mm": off, "turn_deg": 1.0, "ok": True}}},
            labels, {"success": success != (block == 3), "stage": 2, "failure": "dropped"}, "",
            True, 200, 4.0, {"clamps": 1, "p50_ms": 2.0}, film,
        )  # fmt: skip

    def closed(self, **fields: Any) -> Closed:
        trials = self.trials()
        voided = replace(trials[2], code="K2", void="the camera fell", counted=False, labels=None)
        ratings = {
            t.code: {
                "operator": t.labels.success,
                "automatic": t.automatic["success"],
                **({"second": t.labels.success} if t.block % 5 == 0 else {}),
            }
            for t in trials
            if t.labels is not None
        }
        known: dict[str, Any] = {
            "folder": self.folder, "name": "friday", "world": "twin",
            "lock": {
                "hash": "ab" * 32, "made": "2026-01-02T08:00:00+00:00", "protocol": PROTOCOL.hash,
                "calibration": "none", "stages": list(STAGES),
                "terms": {"protocol": PROTOCOL.id, "robot": "viperx", "alpha": 0.05, "seed": 0,
                          "blocks": self.blocks, "results": str(self.folder / "results")},
            },
            "policies": {p.name: self.maker.manifest(p, 0)["policy"] for p in self.policies},
            "runs": {p.name: self.folder / "results" / "runs" / p.name for p in self.policies},
            "trials": (*trials[:2], voided, *trials[2:]),
            "path": tuple(self.path(trials)), "ended": "all blocks are done",
            "checks": ({"name": "disk", "outcome": "pass", "text": "12 GB free", "evidence": {}},
                       {"name": "home", "outcome": "waived", "text": "2 mm <b>", "evidence": {}}),
            "ratings": ratings, "agreement": {},
            "deviations": ("K2 is void and made again: the camera fell",),
            "permission": {p.name: {"verdict": "", "override": ""} for p in self.policies},
            "started": "2026-01-02T09:00:00+00:00", "ended_at": "2026-01-02T11:30:00+00:00",
        }  # fmt: skip
        return Closed(**{**known, **fields})

    def path(self, trials: list[ClosedTrial]) -> list[Look]:
        """Ask the test of the first two policies after every block."""
        if len(self.policies) < 2:
            return []
        first, second = (p.name for p in self.policies[:2])
        won = {(t.policy, t.block): t.labels.success for t in trials if t.labels is not None}
        test, looks = SignTest(Stopping(0.05, self.blocks)), []
        for block in range(self.blocks):
            test.update(won[first, block], won[second, block])
            looks.append(
                Look(block + 1, first, second, test.wins, test.losses, test.boundary,
                     test.decision.value)
            )  # fmt: skip
            if test.decision.value != "continue":
                break
        return looks

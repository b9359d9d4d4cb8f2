"""Sealed runs of made-up policies, with realistic contents, for the leaderboard's tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lines import digest as sha
from benchmarks.protocol import PROTOCOLS, Plan, make_plan
from benchmarks.records import SEAL
from benchmarks.video import write_mp4
from benchmarks.writer import RunWriter

HARM = {"object_pose": 0.9, "home_pose": 0.5, "action_delay": 0.35, "observation_noise": 0.45}
LEVELS = {"L1": 1.0, "L2": 2.4, "L3": 4.2}
FAILURES = ("missed_grasp", "dropped", "misplaced", "drift", "stuck", "timeout", "unstable")
STAGES = 6


@dataclass(frozen=True)
class MadeUp:
    """A made-up policy: its ability (probit), how much perturbations hurt it, its cost."""

    name: str
    ability: float
    hurt: float = 1.0
    wall_s: float = 100.0
    latency_ms: float = 2.0
    parameters: int = 400_000
    floor: bool = False
    seeds: tuple[int, ...] = (0, 1, 2)
    preset: str = "cpu"


POLICIES = (
    MadeUp("act", 2.05, 1.0, 118.0, 3.1, 2_300_000),
    MadeUp("diffusion", 2.1, 0.75, 286.0, 21.4, 4_100_000),
    MadeUp("bc", 0.35, 1.25, 41.0, 0.4, 410_000),
    MadeUp("hold", -9.0, 1.0, 0.0, 0.01, 0, True, (0,)),
    MadeUp("replay", -0.9, 0.8, 0.0, 0.05, 0, True, (0,)),
)


@dataclass(frozen=True)
class Maker:
    """Writes runs of pick_place/v1 into ``results/runs``."""

    results: Path
    trials: int | None = None
    conditions: tuple[str, ...] = ()
    track: str = "state"
    world: str = "sim"
    videos: bool = False

    @property
    def plan(self) -> Plan:
        """Return the part of the protocol that the runs cover."""
        return make_plan(PROTOCOLS["pick_place/v1"], self.track, self.conditions, self.trials)

    def protocol(self) -> dict[str, Any]:
        """Return the protocol as manifests hold it."""
        found = PROTOCOLS["pick_place/v1"]
        return {"id": found.id, "hash": found.hash, "definition": found.definition()}

    def penalty(self, condition: str) -> float:
        """Return how much harder a condition is, in probits."""
        axis, _, level = condition.partition("/")
        if axis == "combined":
            return 0.7 * sum(HARM.values()) * LEVELS[level]
        return HARM.get(axis, 0.12) * LEVELS.get(level, 0.0)

    def manifest(self, policy: MadeUp, seed: int) -> dict[str, Any]:
        """Return the manifest of one run."""
        weights = sha(f"{policy.name}{seed}{self.track}".encode())
        return {
            "schema": 1,
            "run": f"{policy.name}-{policy.preset}-seed{seed}",
            "world": self.world,
            "protocol": self.protocol(),
            "plan": self.plan.to_json(),
            "task": "pick_place",
            "track": self.track,
            "robot": "viperx",
            "policy": {
                "name": policy.name,
                "algorithm": policy.name,
                "preset": policy.preset,
                "seed": seed,
                "floor": policy.floor,
                "hashes": {
                    "weights": weights,
                    "config": sha(policy.name.encode()),
                    "stats": sha(b"stats"),
                    "spec": sha(b"spec"),
                },
                "data": {
                    "fingerprint": sha(b"data"),
                    "episodes": 50,
                    "train": list(range(44)),
                    "validation": list(range(44, 50)),
                },
                "training": {}
                if policy.floor
                else {
                    "steps": 8000,
                    "wall_s": policy.wall_s * (1 + 0.04 * seed),
                    "cpu_s": policy.wall_s * 1.9,
                    "parameters": policy.parameters,
                    "device": "cpu",
                },
            },
            "execution": {"chunk": 16, "execute": 8, "ensemble": None, "batch": 50},
            "versions": {
                "python": "3.11.2",
                "numpy": "2.3.0",
                "torch": "2.13.0",
                "mujoco": "3.17.0",
                "armtrials": "0.1.0",
                "renderer": "none",
            },
            "model_hash": sha(b"model"),
            "code": {"commit": "3f2a9d01c4", "dirty": False},
            "machine": {"cpu": "two cores", "cores": 2},
        }

    def records(self, policy: MadeUp, seed: int) -> list[dict[str, Any]]:
        """Return the trials of one run, without their chain."""
        difficulty = np.random.default_rng(7).normal(size=400)
        name = int.from_bytes(policy.name.encode()[:4], "big")
        rng = np.random.default_rng([name, seed])
        shift = 0.0 if policy.floor else 0.12 * rng.normal()
        lines = []
        for condition, count in self.plan.cells:
            score = policy.ability + shift - policy.hurt * self.penalty(condition)
            score = score + 0.8 * difficulty[:count] + 0.6 * rng.normal(size=count)
            lines += [self.trial(policy, condition, i, float(score[i]), rng) for i in range(count)]
        return lines

    def trial(
        self, policy: MadeUp, condition: str, ic: int, score: float, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Return one trial that succeeded when ``score`` is positive."""
        success = score > 0
        stage = STAGES if success else int(rng.integers(0, STAGES))
        weights = np.array([5, 2, 2, 1.5, 1, 1, 0.6]) + 4 * (np.arange(7) == hash_(condition) % 7)
        failure = None if success else str(rng.choice(FAILURES, p=weights / weights.sum()))
        cube = (0.3 + 0.2 * (ic * 0.7549 % 1), -0.15 + 0.3 * (ic * 0.5698 % 1), 0.02)
        return {
            "key": {
                "policy": policy.name,
                "task": "pick_place",
                "protocol": "pick_place/v1",
                "condition": condition,
                "ic": ic,
                "repeat": 0,
            },
            "seeds": {"ic": 1000 + ic, "policy": ic},
            "start": {
                "qpos": [0.0] * 7,
                "objects": {"cube": [*cube, 1, 0, 0, 0]},
                "factors": {},
                "seed": 1000 + ic,
            },
            "status": "valid",
            "reason": None,
            "success": success,
            "success_any": bool(success or rng.random() < 0.05),
            "success_final": success,
            "stage": stage,
            "progress": stage / STAGES,
            "failure": failure,
            "tags": [failure] if failure else [],
            "steps": int(rng.integers(180, 260)) if success else 400,
            "duration_s": 4.5 if success else 8.0,
            "quality": {
                "sparc": round(-1.5 - 0.3 * float(rng.random()), 4),
                "path_ratio": round(1.1 + 0.2 * float(rng.random()), 4),
                "contact_peak_n": 4.0,
            },
            "latency": {"p50_ms": None, "p99_ms": None, "missed": 0}
            if policy.name == "hold"
            else {
                "p50_ms": policy.latency_ms,
                "p99_ms": round(policy.latency_ms * (1.3 + 0.2 * float(rng.random())), 4),
                "missed": 0,
            },
            "clamps": 0,
            "actions_sha256": sha(f"{policy.name}{condition}{ic}".encode()),
            "final_sha256": sha(f"final{policy.name}{condition}{ic}".encode()),
            "video": None,
        }

    def write(self, policy: MadeUp, seed: int) -> Path:
        """Write one sealed run folder and return it."""
        manifest, records = self.manifest(policy, seed), self.records(policy, seed)
        folder = self.results / "runs" / "pick_place_v1" / f"{self.track}-{manifest['run']}"
        if self.videos and seed == 0:
            add_videos(folder, records)
        return write_run(folder, manifest, records)

    def write_all(self, policies: tuple[MadeUp, ...] = POLICIES) -> list[Path]:
        """Write every seed of every policy."""
        return [self.write(p, s) for p in policies for s in p.seeds]


def hash_(text: str) -> int:
    return int(sha(text.encode())[:8], 16)


def write_run(
    folder: Path, manifest: dict[str, Any], records: list[dict[str, Any]], sealed: bool = True
) -> Path:
    """Write manifest and chained trials, and the seal where wanted."""
    videos = [r["video"] for r in records if r["video"]]
    with RunWriter(folder, manifest) as writer:
        writer.append(records)
        if sealed:
            writer.seal("armtrials test", videos)
    assert (folder / SEAL).is_file() == sealed
    return folder


def add_videos(folder: Path, trials: list[dict[str, Any]], cells: int = 4) -> None:
    """Give a success and a failure of the first conditions a small video."""
    seen: set[tuple[str, bool]] = set()
    for trial in trials:
        condition, success = trial["key"]["condition"], trial["success"]
        if (condition, success) in seen or len({c for c, _ in seen} | {condition}) > cells:
            continue
        seen.add((condition, success))
        name = f"videos/{condition.replace('/', '_')}_{trial['key']['ic']:04d}.mp4"
        write_mp4(folder / name, frames(success, trial["key"]["ic"]), fps=12)
        trial["video"] = name


def frames(success: bool, ic: int, count: int = 24) -> list[Any]:
    """Draw a square that travels to a zone, or stops half-way."""
    pictures = []
    for t in range(count):
        image = np.full((120, 160, 3), 232, np.uint8)
        image[70:105, 110:145] = (150, 205, 165)
        x = int(15 + (100 if success else 45) * t / count)
        image[75:95, x : x + 20] = (200, 60, 55)
        image[:4] = (46, 160, 67) if success else (207, 34, 46)
        image[110:112, : 4 + ic % 100] = 120
        pictures.append(image)
    return pictures

"""What a folder of collected demonstrations says about itself: ``dataset.json``."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from envs.ability import require
from envs.arm import CameraSpec, InitialCondition
from envs.atomic import write_atomic
from envs.crew import crew
from envs.errors import UsageError
from envs.expert_ways import left_share
from envs.feasible import perturb_feasibly
from envs.gap import GAPS, with_gap
from envs.gl import choose_backend
from envs.robots import ROBOTS
from envs.tasks import TASKS
from envs.variation import VARIATIONS, distractors_of
from envs.world import world

NAME = "dataset.json"
SCHEMA = 1
SPLIT = "train"
MIXED = "mixed"
LATER = {"later": True}
"""Marks a setting that came later: at its default it is in no name or hash made of a collection."""


@dataclass(frozen=True)
class Collection:
    """How demonstrations are made. Episode i is a function of this and of i, nothing else.

    Attributes:
        task: registered task.
        robot: registered robot; by default the task's own.
        operator: registered style of the scripted expert, or a crew of several.
        variations: (variation, level) drawn anew, within the level's bound, in each episode.
        seed: another seed gives other demonstrations.
        cameras: recorded at every control step; none for state demonstrations.
        recovery: share of the episodes that start off nominal, see `envs.recovery`.
        strategy: which of a task's two ways: left, right, mixed, or the share of left ways.
        gap: registered gap of the arm that demonstrates to the simulation; "" for none.
        starts: from where to demonstrate, one after the other, over and over; none: as the task
            draws them.
    """

    task: str
    robot: str = ""
    operator: str = "clean"
    variations: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    cameras: tuple[CameraSpec, ...] = ()
    recovery: float = 0.0
    strategy: str = MIXED
    gap: str = field(default="", metadata=LATER)
    starts: tuple[InitialCondition, ...] = field(default=(), hash=False, metadata=LATER)

    def __post_init__(self) -> None:
        """Refuse unknown names; the message lists the known ones."""
        object.__setattr__(self, "robot", self.robot or TASKS[self.task].robot)
        require(TASKS[self.task], self.robot)
        crew(self.operator)
        for name, level in self.variations:
            VARIATIONS[name].level(level)
        if self.seed < 0:
            raise UsageError(f"seed must be at least 0, got {self.seed}")
        if not 0.0 <= self.recovery <= 1.0:
            raise UsageError(f"recovery must be a share 0..1, got {self.recovery}")
        if self.gap:
            GAPS[self.gap]
        left_share(self.strategy)
        if self.strategy != MIXED and not TASKS[self.task].ways:
            raise UsageError(f"{self.task} can be done in one way: leave out {self.strategy!r}")

    @property
    def distractors(self) -> int:
        """Number of distractors that the scene must hold."""
        return distractors_of(self.variations)

    def start(self, index: int) -> InitialCondition:
        """Return the start state of episode ``index``; all operators meet the same ones."""
        task = TASKS[self.task]
        rng = self.rng(SPLIT, index)
        arm = ROBOTS[self.robot].spec()
        start = task.sample(rng, arm)
        if self.starts:  # its own seed: noise differs where a start is used again
            start = replace(self.starts[index % len(self.starts)], seed=start.seed)
        start = perturb_feasibly(start, task, self.variations, rng, False, arm)
        return with_gap(start, GAPS[self.gap]) if self.gap else start

    def rng(self, purpose: str, index: int) -> np.random.Generator:
        """Return the random stream of episode ``index`` for ``purpose``."""
        names = ("collect", self.task, purpose)
        words = [int.from_bytes(hashlib.sha256(n.encode()).digest()[:8], "big") for n in names]
        return np.random.default_rng(np.random.SeedSequence([*words, self.seed, index]))

    def definition(self) -> dict[str, Any]:
        """Return as JSON all that the bytes of the episodes depend on.

        Raises:
            UsageError: the scene has no such camera.
        """
        made = world(TASKS[self.task], self.robot, self.distractors)
        known = [made.model.camera(i).name for i in range(made.model.ncam)]
        for camera in self.cameras:
            if camera.name not in known:
                raise UsageError(f"unknown camera {camera.name!r}; known: {', '.join(known)}")
        settings = asdict(self)
        if not self.recovery:  # not there in collections made before it was known
            del settings["recovery"]
        if not TASKS[self.task].ways:
            del settings["strategy"]
        if self.gap:
            settings["gap"] = {"name": self.gap, "values": GAPS[self.gap].to_json()}
        else:  # not there in collections made before it was known
            del settings["gap"]
        settings["starts"] = [start.to_json() for start in self.starts]
        if not self.starts:
            del settings["starts"]
        return {
            **settings,
            "variations": [list(v) for v in self.variations],
            "cameras": [asdict(c) for c in self.cameras],
            "renderer": choose_backend() if self.cameras else "none",
            "model_hash": made.model_hash,
            "versions": {
                "armtrials": _installed(),
                "mujoco": mujoco.__version__,
                "numpy": np.__version__,
            },
        }


def from_definition(definition: Mapping[str, Any]) -> Collection:
    """Return the collection that a definition, or what is left of one, is of."""
    known = {f.name for f in fields(Collection)}
    settings = {name: value for name, value in definition.items() if name in known}
    return Collection(
        **{
            **settings,
            "variations": tuple((name, level) for name, level in settings["variations"]),
            "cameras": tuple(CameraSpec(**camera) for camera in settings["cameras"]),
            "gap": settings.get("gap", {"name": ""})["name"],
            "starts": tuple(map(InitialCondition.from_json, settings.get("starts", ()))),
        }
    )


def identity(definition: Mapping[str, Any]) -> str:
    """Return the sha256 of a definition's canonical JSON, the libraries' versions left out."""
    named = {k: v for k, v in definition.items() if k != "versions"}
    text = json.dumps(named, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class DatasetInfo:
    """The content of ``dataset.json``.

    Attributes:
        definition: of the `Collection`.
        attempts: demonstrations attempted so far, 0 while the first collection is running.
        episodes: those that succeeded.
        failed: indices of the others, kept in ``failed/``.
    """

    definition: Mapping[str, Any]
    attempts: int = 0
    episodes: int = 0
    failed: tuple[int, ...] = ()


def read_info(folder: Path) -> DatasetInfo | None:
    """Return what ``dataset.json`` in ``folder`` says, None where there is none.

    Raises:
        UsageError: the file is broken or of another version.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text("utf-8"))
        if data.pop("schema") != SCHEMA:
            raise ValueError("another schema")
        return DatasetInfo(**{**data, "failed": tuple(data["failed"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: is broken ({error}); collect into another folder") from error


def write_info(folder: Path, info: DatasetInfo) -> None:
    """Write ``dataset.json``; raise ``UsageError`` where that cannot be done."""
    text = json.dumps({"schema": SCHEMA, **asdict(info)}, indent=2, sort_keys=True)
    write_atomic(Path(folder) / NAME, f"{text}\n".encode())


def claim(folder: Path, definition: Mapping[str, Any]) -> DatasetInfo:
    """Return the info of ``folder`` if it is new or made with the same ``definition``.

    Raises:
        UsageError: it holds other data, or was made with other settings (the message names them).
    """
    info = read_info(folder)
    if info is None:
        if any(Path(folder).glob("*.hdf5")):
            raise UsageError(f"{folder}: holds episodes but no {NAME}; collect into another folder")
        info = DatasetInfo(definition)
        write_info(folder, info)
    different = [
        f"{key} {json.dumps(info.definition.get(key))} (now {json.dumps(definition.get(key))})"
        for key in sorted({*definition, *info.definition})
        if definition.get(key) != info.definition.get(key)
    ]
    if different:
        raise UsageError(
            f"{folder}: was collected with other settings: {'; '.join(different)}; "
            "collect into another folder"
        )
    return info


def _installed() -> str:
    try:
        return version("armtrials")
    except PackageNotFoundError:
        return "unknown"

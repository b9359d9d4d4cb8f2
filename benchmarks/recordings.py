"""Demonstrations that were recorded on an arm: what they are of, and which can be learned from."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.experiment_fit import Recorded
from benchmarks.protocol import PROTOCOLS
from envs.ability import require
from envs.arm import CameraSpec
from envs.env import observation_space
from envs.episode import EpisodeHeader, episode_files, fingerprint, inspect_file, read_episode
from envs.errors import UsageError
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.dataset import Reading
from policies.preprocess import filter_episodes

IMAGES = "images/"
STATE, PIXELS = "state", "pixels"
ALIKE = ("task", "robot", "joints", "control_hz", "sim")
"""Metadata that all episodes share."""


@dataclass(frozen=True)
class Recordings:
    """A folder of episodes of one task on one arm, before the same cameras.

    Attributes:
        folder: where they are.
        task: registered task.
        robot: registered arm.
        sim: whether their metadata say that the arm was simulated, as the twin is.
        track: ``state`` or ``pixels``: what the episodes show of the scene.
        cameras: with the sizes of their pictures [px]; none on the state track.
        marks: fingerprint of every episode that can be learned from, by file, in file order.
        excluded: why each of the others cannot.
        headers: what the files of ``marks`` say about themselves.
    """

    folder: Path
    task: str
    robot: str
    sim: bool
    track: str
    cameras: tuple[CameraSpec, ...]
    marks: tuple[tuple[Path, str], ...]
    excluded: tuple[tuple[str, str], ...]
    headers: Mapping[Path, EpisodeHeader] = field(compare=False, repr=False)

    @property
    def most(self) -> int:
        """How many episodes there are to learn from."""
        return len(self._first(len(self.marks)))

    def first(self, episodes: int) -> Recorded:
        """Return the first ``episodes`` in file order that can be learned from together.

        Raises:
            UsageError: there are not so many.
        """
        chosen = self._first(episodes)
        if len(chosen) != episodes or not chosen:
            raise UsageError(
                f"{self.folder}: M must be 0..{self.most}, its episodes that can be learned from, "
                f"got {episodes}"
            )
        marks = dict(self.marks)
        told = "\n".join(marks[path] for path in chosen)
        sha256 = hashlib.sha256(told.encode()).hexdigest()
        return Recorded(self.task, self.robot, episodes, sha256)

    def _first(self, episodes: int) -> Sequence[Path]:
        """Return files of which none is odd among the others, so that a training takes them all."""
        left = [path for path, _ in self.marks]
        while odd := filter_episodes({p.name: self.headers[p] for p in left[:episodes]}):
            left = [path for path in left if path.name not in odd]
        return left[:episodes]

    def lay_out(self, recorded: Recorded, root: Path) -> Path:
        """Put the episodes of ``recorded`` into their folder below ``root``, linked or copied.

        Raises:
            UsageError: the folder cannot be written.
        """
        folder = recorded.folder(root)
        if folder.is_dir():
            return folder
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
                there = Path(made) / folder.name
                there.mkdir()
                for path in self._first(recorded.episodes):
                    _put(path, there / path.name)
                there.rename(folder)
        except OSError as error:
            if not folder.is_dir():  # else another process was first
                raise UsageError(
                    f"{folder} cannot be written ({error.strerror}): choose another --out"
                ) from error
        return folder

    def to_json(self) -> dict[str, Any]:
        """Return what a report says of them."""
        return {
            "folder": str(self.folder),
            "task": self.task,
            "robot": self.robot,
            "sim": self.sim,
            "track": self.track,
            "cameras": {camera.name: [camera.height, camera.width] for camera in self.cameras},
            "episodes": self.most,
            "sha256": self.first(self.most).sha256,
            "excluded": dict(self.excluded),
        }


def _put(source: Path, target: Path) -> None:
    """Link ``target`` to the content of ``source``, which stays if the name is used anew."""
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(source, target)


def read_recordings(folder: Path) -> Recordings:
    """Read a folder of demonstrations, as ``armtrials record`` fills it.

    Raises:
        UsageError: no folder, no episode that can be learned from, episodes of several tasks, arms
            or cameras, or a task, arm or camera that is not simulated; the message names it.
    """
    folder = Path(folder)
    headers = {path: inspect_file(path) for path in episode_files(folder)}
    _check_alike(headers)
    reasons = filter_episodes({path.name: header for path, header in headers.items()})
    usable = {path: header for path, header in headers.items() if path.name not in reasons}
    if not usable:
        name, reason = next(iter(reasons.items()))
        raise UsageError(f"{folder}: none of its episodes can be learned from; {name}: {reason}")
    first = next(iter(usable.values()))
    _check_simulated(folder, first)
    cameras = _cameras(first)
    marks = tuple((path, fingerprint(read_episode(path))) for path in usable)
    return Recordings(
        folder, first.meta.task, first.meta.robot, first.meta.sim, PIXELS if cameras else STATE,
        cameras, marks, tuple(reasons.items()), usable,
    )  # fmt: skip


def _check_alike(headers: Mapping[Path, EpisodeHeader]) -> None:
    """Refuse episodes of several arms, tasks or scenes in one folder."""
    (name, first), *others = headers.items()
    for path, header in others:
        for what in ALIKE:
            mine, wanted = getattr(header.meta, what), getattr(first.meta, what)
            if mine != wanted:
                raise UsageError(
                    f"{path}: {what} must be {wanted!r} as in {name.name}, got {mine!r}: put the "
                    "episodes of one arm and one task into a folder of their own"
                )
        mine, wanted = (_listed(_scene(one.shapes)) for one in (header, first))
        if mine != wanted:
            raise UsageError(
                f"{path}: its cameras and objects must be those of {name.name}, {wanted}, got "
                f"{mine}"
            )


def _check_simulated(folder: Path, first: EpisodeHeader) -> None:
    """Refuse an arm, a task or a scene that a pre-training could not be simulated of."""
    meta = first.meta
    for what, found, known in (("task", meta.task, TASKS), ("arm", meta.robot, ROBOTS)):
        if found not in known:
            raise UsageError(
                f"{folder}: its episodes are of the {what} {found!r}, which is not simulated; "
                f"known: {', '.join(sorted(known))}"
            )
    require(TASKS[meta.task], meta.robot)
    protocol = PROTOCOLS[f"{meta.task}/v1"]
    if protocol.robot != meta.robot:
        raise UsageError(
            f"{folder}: its episodes are of the arm {meta.robot!r}, and no session tries "
            f"{meta.task} on it: {protocol.id} is of {protocol.robot}"
        )
    spec = ROBOTS[meta.robot].spec()
    for what, mine, wanted in (
        ("joints", meta.joints, spec.joints),
        ("control_hz", meta.control_hz, spec.control_hz),
    ):
        if mine != wanted:
            raise UsageError(f"{folder}: {what} of {meta.robot} must be {wanted}, got {mine}")
    _check_scene(folder, first)


def _check_scene(folder: Path, first: EpisodeHeader) -> None:
    """Refuse cameras that the arm has not, and scenes of which less is known than in simulation."""
    arm, task, cameras = ROBOTS[first.meta.robot].spec(), TASKS[first.meta.task], _cameras(first)
    if unknown := [camera.name for camera in cameras if camera.name not in arm.cameras]:
        raise UsageError(
            f"{folder}: camera {unknown[0]!r} of its episodes is not simulated; known: "
            f"{', '.join(arm.cameras)}"
        )
    reads = Reading(PIXELS if cameras else STATE).reads
    space: Any = observation_space(arm, task, cameras)
    wanted = {key: box.shape for key, box in space.items() if reads(key)}
    found = {key: shape for key, shape in first.shapes.items() if reads(key)}
    if wanted != found:
        raise UsageError(
            f"{folder}: its episodes must hold {_listed(wanted)} as the simulation of "
            f"{task.name} does, got {_listed(found)}"
        )


def _cameras(first: EpisodeHeader) -> tuple[CameraSpec, ...]:
    return tuple(
        CameraSpec(key.removeprefix(IMAGES), shape[1], shape[0])
        for key, shape in sorted(first.shapes.items())
        if key.startswith(IMAGES)
    )


def _scene(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {key: shape for key, shape in shapes.items() if "/" in key}


def _listed(shapes: Mapping[str, Sequence[int]]) -> str:
    told = [f"{key} {'x'.join(map(str, shape))}" for key, shape in sorted(shapes.items())]
    return ", ".join(told) or "nothing of the scene"

"""Recording by leader and follower: a person moves one arm, the other does the task.

The follower is held until its leader is close, then what is left between them fades out: no jump.
Recording begins and ends by keys; what is kept is in its journal before the next episode begins.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from envs.arm import Array, Observation
from envs.collection import Collection
from envs.episode_meta import EpisodeMeta
from envs.errors import UsageError
from envs.recorder import INTERRUPTED, Recorder
from real.cadence import CADENCE, Cadence, Notes, report
from real.real_arm import RealArm
from real.scene_words import scene
from real.teleop.later import LaterAlbum
from real.teleop.takeover import PERSON, Leader, TakeOver

OTHER = "other"

KEYS = {
    "s": "start",
    "y": "success",
    "f": "failure",
    "r": "redo",
    "u": "undo",
    "q": "quit",
}
"""Keys of a terminal, over SSH too: the space bar and L stop the arm (``real.keys``)."""

HELP = "s start, y success, f failure, r redo, u undo, q quit; space bar holds the arm, L limp"

Tell = Callable[[str], None]


class _Held:
    """Nobody: the arm stays where its targets are; an ``Autonomy``."""

    holding = False

    def __init__(self) -> None:
        self.at: Array | None = None

    def restart(self) -> None:
        """Nothing was planned."""

    def act(self, observation: Observation) -> Array:
        """Return where the arm is to stay."""
        return np.asarray(observation["qpos"] if self.at is None else self.at, np.float64)


@dataclass(frozen=True)
class Take:
    """What is said of an episode that was ended: its number, success, cadence."""

    index: int
    success: bool
    cadence: Cadence


class FollowSession:
    """Records episodes on an arm that follows a leader; ``tick`` lets a control period pass.

    Attributes:
        arm: the follower.
        takes: episodes that were ended in this session.
        scene: the start of the present episode.
        quit: whether the person wants to end it.
    """

    def __init__(
        self,
        arm: RealArm,
        leader: Leader,
        album: LaterAlbum,
        operator: str,
        tell: Tell = lambda text: None,
        sim: bool = False,
    ) -> None:
        """Let ``arm`` follow ``leader``, episodes go into ``album``; ``sim``: it is a twin."""
        self.arm, self.leader, self.album, self.operator = arm, leader, album, operator
        self.tell, self._sim = tell, sim
        self.takes: list[Take] = []
        self.quit = False
        self._held = _Held()
        self._drive = TakeOver(arm.spec, leader, self._held)
        self._recorder: Recorder | None = None

    @property
    def recording(self) -> bool:
        """Whether an episode is being recorded."""
        return self._recorder is not None

    @property
    def following(self) -> bool:
        """Whether the follower has come to its leader."""
        return self._drive.phase == PERSON

    @property
    def command(self) -> Array:
        """What the arm was told last (n,)."""
        return self._drive.last

    @property
    def steps(self) -> int:
        """Control periods recorded of the present episode."""
        return len(self._notes)

    def begin(self) -> None:
        """Bring arm and table to the start of the next episode; the leader may take over.

        Raises:
            StoppedError: the arm was stopped on the way.
        """
        collection: Collection = self.album.collection
        start = self.scene = collection.start(self.album.index)
        self._seen = self.arm.home(start)
        self._held.at = np.array(start.qpos)
        self._drive.begin(self._held.at)
        self._drive.take()
        self._notes = Notes()
        self._meta = EpisodeMeta(
            task=self.arm.task.name,
            instruction=self.arm.task.instruct(start),
            robot=collection.robot,
            operator=self.operator,
            start=start,
            index=self.album.index,
            seed=collection.seed,
            joints=self.arm.spec.joints,
            control_hz=self.arm.spec.control_hz,
            sim=self._sim,
            calibration_hash=self.arm.calibration_hash,
        )
        placed = "" if self._sim else f"{scene(start)} "
        self.tell(f"Episode {self.album.index}: {self._meta.instruction}. {placed}{HELP}")

    def tick(self) -> None:
        """Let one control period pass, recorded if an episode is.

        Raises:
            StoppedError: the arm was stopped; ``interrupt`` keeps what there is.
            UsageError: the disk is full; the steps before are safe.
        """
        seen, command = self._seen, self._drive.step(self._seen).action
        if self._recorder is not None:
            now = self.arm.stamp
            first = now if self._notes.first is None else self._notes.first
            self._recorder.append(seen, command, now - first)
            self._notes.add(now, self.arm.numbers, command, seen["qpos"])
        self._seen = self.arm.command(command)
        self.album.collect()

    def press(self, key: str) -> None:
        """Do what a key of ``KEYS`` asks for; others do nothing.

        Raises:
            StoppedError: the arm was stopped on the way to a start.
            UsageError: the disk is full.
        """
        wish = KEYS.get(key)
        if wish == "start":
            self.start()
        elif wish in ("success", "failure"):
            self.end(wish == "success")
        elif wish == "redo":
            self._discard()
            self.begin()
        elif wish == "undo":
            self._undo()
        elif wish == "quit":
            self.quit = True

    def start(self) -> None:
        """Begin to record, once the leader drives."""
        if self.recording:
            self.tell("It is being recorded already.")
        elif not self.following:
            self.tell(f"Bring the leader to the arm first: {self._drive.gap:.2f} rad between them.")
        else:
            self._recorder = self.album.record(self._meta)
            self._notes = Notes()
            self.tell("Recording.")

    def end(self, success: bool, failure: str = OTHER) -> None:
        """Keep the episode and go to the next start.

        One that did not keep the rate it would claim is kept among the failures.
        """
        recorder, self._recorder = self._recorder, None
        if recorder is None or len(self._notes) < 2:
            if recorder is not None:
                recorder.discard()
            self.tell("Nothing was recorded yet: s starts.")
            return
        cadence = self._notes.measure(self.arm.spec.control_hz, self.arm.spec.joints)
        flag = cadence.flag
        if flag:
            success, failure = False, CADENCE
        index = self.album.index
        meta = replace(self._meta, success=success, failure="" if success else failure, flag=flag)
        self.album.keep(recorder, meta)
        report(self.album.out, index, cadence)
        self.takes.append(Take(index, success, cadence))
        said = "kept" if success else f"kept as a failure ({failure})"
        self.tell(f"Episode {index} {said}: {cadence}{'; ' if flag else ''}{flag}.")

    def interrupt(self) -> None:
        """Keep what is being recorded as interrupted, among the failures."""
        if self.recording:
            self.end(False, INTERRUPTED)

    def _discard(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.discard()
            self.tell("Thrown away. The same scene again.")

    def _undo(self) -> None:
        if self.recording:
            self.tell("End this episode first, then undo the one before.")
            return
        kept = self.album.undo()
        if kept is None:
            self.tell("There is no episode of this session left to undo.")
            return
        self.tell(f"Episode {kept.index} is taken back (it lies in undone/).")
        self.begin()


def preflight(out: Path, arm: RealArm, episodes: int, seconds: float) -> int:
    """Refuse a disk that is too small for what is to be recorded; return what it needs [bytes].

    Every step is written twice: into the journal, then into the file.

    Raises:
        UsageError: there is less room.
    """
    pictures = sum(camera.width * camera.height * 3 for camera in arm.cameras)
    step = pictures + 4 * (4 * arm.spec.n + 7 * len(arm.task.objects)) + 16
    need = round(2 * step * seconds * arm.spec.control_hz * episodes)
    folder = out
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < need:
        raise UsageError(
            f"{out}: {episodes} episodes of {seconds:g} s need {need / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free"
        )
    return need

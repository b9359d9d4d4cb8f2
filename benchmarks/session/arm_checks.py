"""The part of the preflight that an arm is needed for; each check says what it measured."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.session.rig import Found, Probe
from benchmarks.session.state import FAIL, NOT_HERE, PASS
from envs.arm import Array, InitialCondition
from envs.episode import Episode, episode_files, read_episode
from real.control import FarArm
from real.dynamixel_check import WARM
from real.pinhole import Intrinsics, Pose
from real.real_arm import RealArm
from real.reset_check import ResetReport, Tolerance, with_picture
from real.safe_arm import SafeArm, StoppedError
from real.stop import StopBoard
from real.verdict import STOPPED

PATIENCE_S = 300.0
"""So long is the press of the emergency stop waited for."""

HOLD = 50
"""Control periods for which the arm is held to see what its bus does."""

LOSSES = 0.02
"""Share of readings that may have had to be repeated."""

LOST = ("repeats", "late", "broken")
"""What a driver counts of its losses."""

TIMES, AWAY, SPREAD = 3, 0.15, 0.02
"""How often home is gone to, from how far [rad], and how far apart the ends may lie [rad]."""

AT_REST = 0.05
"""Speed below which a held arm stands [rad/s]."""

STALE_S = 0.2
"""Age from which a camera's newest picture is too old [s]."""

LIGHT = 0.2
"""Share by which the median brightness may differ from the reference."""

CHANGED = 0.05
"""Share of the picture that may differ from the reference."""

OFF_RAD = 0.05
"""By how much a replayed demonstration may miss its own joints [rad, rms]."""

REFERENCE = "reference.png"

TITLES: Mapping[str, str] = {
    "watchdog": "Watchdog of the motors armed",
    "temperature": "Temperatures",
    "stop": "Emergency stop: press it once now (space bar, or STOP)",
    "home": "Home is the same every time",
    "bus": "Bus",
    "cameras": "Cameras",
    "board": "Cameras where they were (ChArUco board)",
    "light": "Light",
    "picture": "Scene like the reference picture",
    "canary": "Replay of a demonstration",
}
"""The checks in their order; each is a method."""


@dataclass
class ArmChecks:
    """Checks one arm.

    Attributes:
        arm: that is checked.
        first: a start, to whose pose it goes.
        folder: of the session, where the reference picture is kept.
        data: demonstrations of which one is replayed; None: none.
        overview: takes a picture from above; None: nobody does.
        show: sets a start up where that can be done without a person; else it is asked for.
        on_board: compares cameras with their reference on a ChArUco board; None: ``no_board``.
        no_board: why not.
        needs_data: whether a missing demonstration fails.
    """

    arm: RealArm
    first: InitialCondition
    folder: Path
    data: Path | None = None
    overview: Callable[[], Array] | None = None
    show: Callable[[InitialCondition], None] = lambda start: None
    on_board: Callable[[], Found] | None = None
    no_board: str = "the twin's cameras cannot move"
    needs_data: bool = False
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def emergency(self) -> StopBoard:
        """Where an emergency stop is asked for."""
        board: StopBoard = self.arm.joints.stop  # type: ignore[attr-defined]
        return board

    def probes(self) -> Sequence[Probe]:
        """Return the checks, in their order."""
        return tuple(Probe(name, title, getattr(self, name)) for name, title in TITLES.items())

    def board(self) -> Found:
        """Compare the cameras with their references on a ChArUco board."""
        return self.on_board() if self.on_board else Found(NOT_HERE, self.no_board)

    def watchdog(self) -> Found:
        """Ask the motors what stops them when nobody commands them any more."""
        limit = self._health()["watchdog_s"]
        if limit is None:
            return Found(FAIL, "no watchdog: the arm would go on if this program died")
        return Found(PASS, f"the motors stop by themselves after {limit:g} s", {"limit_s": limit})

    def temperature(self) -> Found:
        """Read every motor's temperature and faults."""
        health = self._health()
        degrees: Mapping[str, float] = health["temperature"]
        if not degrees:
            return Found(NOT_HERE, "this arm's motors do not tell their temperature")
        name, most = max(degrees.items(), key=lambda item: item[1])
        told = f"the hottest, {name}, has {most:.0f} C"
        evidence = {"degrees": dict(degrees), "limit": WARM, "faults": dict(health["faults"])}
        good = most < WARM and not health["faults"]
        return Found(PASS if good else FAIL, told, evidence)

    def _health(self) -> Mapping[str, Any]:
        health: Mapping[str, Any] = self.arm.joints.health()  # type: ignore[attr-defined]
        return health

    def stop(self) -> Found:
        """Wait for the emergency stop; see that the arm obeys it, and release it."""
        ended = self._held()
        end = time.monotonic() + PATIENCE_S
        while self.emergency.request() is None:
            if time.monotonic() > end or self.gone.is_set():
                return Found(FAIL, "nobody pressed the emergency stop")
            time.sleep(0.02)
        request = self.emergency.request()
        source = request.source if request is not None else "somebody"
        ended = ended or self._held()
        speed = float(np.abs(self.arm.joints.observe()["qvel"]).max())
        self.arm.joints.resume()
        evidence = {"source": source, "ends": ended, "rad_per_s": round(speed, 4)}
        if ended != STOPPED or speed > AT_REST:
            return Found(FAIL, f"pressed ({source}), but the arm did not stop", evidence)
        return Found(PASS, f"pressed ({source}): the arm held, and refused to go on", evidence)

    def _held(self) -> str:
        """Ask the arm to go home; return what stopped it, empty where nothing did."""
        try:
            self._home()
        except StoppedError as error:
            if isinstance(self.arm.joints, FarArm):
                time.sleep(1.0)  # it brakes
            elif isinstance(self.arm.joints, SafeArm):
                for _ in range(HOLD):
                    self.arm.joints.keep()
            return error.ends
        return ""

    def _home(self, start: InitialCondition | None = None) -> Array:
        joints = self.arm.joints
        if joints.ends:
            joints.resume()
        joints.ages = {}
        seen = joints.home(start or self.first)
        return np.asarray(seen["qpos"], float)

    def home(self) -> Found:
        """Go home some times, from elsewhere, and compare where it ends."""
        spec = self.arm.spec
        ends = []
        for k in range(TIMES):
            away = np.array(self.first.qpos)
            away[spec.hinges[0]] += AWAY * (-1) ** k
            away = np.clip(away, spec.lower, spec.upper)
            self._home(replace(self.first, qpos=tuple(map(float, away))))
            ends.append(self._home())
        spread = np.ptp(np.stack(ends), axis=0)[list(spec.hinges)]
        joints = [spec.joints[k] for k in spec.hinges]
        worst = int(np.argmax(spread))
        evidence = {"rad": dict(zip(joints, np.round(spread, 5).tolist(), strict=True))}
        told = f"{TIMES} times: {joints[worst]} differs most, by {1e3 * spread[worst]:.1f} mrad"
        return Found(PASS if spread[worst] <= SPREAD else FAIL, told, evidence)

    def bus(self) -> Found:
        """Hold the arm for a second; count what had to be asked for again or came late."""
        self._home()
        before = self._counts()
        for _ in range(HOLD):
            self.arm.joints.command(np.array(self.first.qpos))
        counts = {name: count - before.get(name, 0) for name, count in self._counts().items()}
        if not counts:
            return Found(NOT_HERE, "this arm's driver counts nothing")
        share = sum(counts.get(name, 0) for name in LOST) / max(1, counts.get("reads", HOLD))
        told = (
            f"{HOLD} control periods: {share:.1%} of the readings had to be repeated or were lost"
        )
        return Found(PASS if share <= LOSSES else FAIL, told, counts)

    def _counts(self) -> dict[str, int]:
        joints = self.arm.joints
        return dict(joints.counts() if isinstance(joints, FarArm) else joints.counts)  # type: ignore[attr-defined]

    def cameras(self) -> Found:
        """See that every camera's newest picture is new."""
        if not self.arm.cameras:
            return Found(NOT_HERE, "the policies read no picture")
        self.arm.observe()
        missing = [c.name for c in self.arm.cameras if c.name not in self.arm.ages]
        ages = {c.name: round(self.arm.ages[c.name], 3) for c in self.arm.cameras
                if c.name in self.arm.ages}  # fmt: skip
        if missing:
            return Found(FAIL, f"no picture of {', '.join(missing)}", {"age_s": ages})
        name, worst = max(ages.items(), key=lambda item: item[1])
        told = f"the newest picture of {name} is {worst:.3f} s old"
        return Found(PASS if worst <= STALE_S else FAIL, told, {"age_s": ages})

    def light(self) -> Found:
        """Compare brightness and tint with the reference picture."""
        pair = self._pictures()
        if isinstance(pair, Found):
            return pair
        now, then = (np.median(picture.reshape(-1, 3), axis=0) for picture in pair)
        change = now / np.maximum(then, 1.0) - 1
        worst = float(np.abs(change).max())
        evidence = {"rgb": now.tolist(), "reference": then.tolist(), "limit": LIGHT}
        told = f"colours differ from the reference by {worst:.0%} at most"
        return Found(PASS if worst <= LIGHT else FAIL, told, evidence)

    def picture(self) -> Found:
        """Compare the scene, block by block, with the reference picture."""
        pair = self._pictures()
        if isinstance(pair, Found):
            return pair
        now, then = pair
        empty = ResetReport((), {}, np.zeros((0, 0), bool), 0.0, Tolerance())
        lens = Intrinsics.simulated(now.shape[1], now.shape[0], 45.0)
        share = with_picture(empty, now, then, lens, Pose(), {}).share
        told = f"{share:.1%} of the picture differs from the reference"
        return Found(PASS if share <= CHANGED else FAIL, told, {"share": share, "limit": CHANGED})

    def _pictures(self) -> tuple[Array, Array] | Found:
        """Return the scene now and as it was; the first picture of a session is the reference."""
        if self.overview is None:
            return Found(NOT_HERE, "this arm has no camera")
        self._home()
        self.show(self.first)
        now = self.overview()
        path = self.folder / REFERENCE
        if not path.exists():
            Image.fromarray(now).save(path)
        return now, np.asarray(Image.open(path).convert("RGB"))

    def canary(self) -> Found:
        """Replay the actions of a demonstration; the joints must go where they went then."""
        files = episode_files(self.data) if self.data is not None else []
        if not files:
            outcome = FAIL if self.needs_data else NOT_HERE
            return Found(outcome, "no demonstrations were given (--data)")
        episode = read_episode(files[0], cameras=())
        if tuple(episode.meta.joints) != self.arm.spec.joints:
            return Found(FAIL, f"{files[0].name} is of other joints")
        off, stage = self._replay(episode)
        goal = len(self.arm.task.stages)
        evidence = {"episode": files[0].name, "rms_rad": round(off, 4), "stage": stage}
        told = f"{files[0].name}: joints within {off:.3f} rad (rms) of the demonstration"
        if stage:
            told += f", stage {stage} of {goal}"
        return Found(PASS if off <= OFF_RAD else FAIL, told, evidence)

    def _replay(self, episode: Episode) -> tuple[float, int]:
        """Return by how much the joints missed [rad, rms], and the stages that were reached."""
        joints = episode.observations["qpos"]
        pose = np.clip(joints[0], self.arm.spec.lower, self.arm.spec.upper)
        start = replace(episode.meta.start or self.first, qpos=tuple(map(float, pose)))
        self._home(start)
        self.show(start)
        misses, stage = [], 0
        for wanted, action in zip(joints[1:], episode.actions[:-1], strict=True):
            self.arm.joints.command(np.asarray(action, float))
            stage = max(stage, self.arm.table.look())
            misses.append(self.arm.joints.observe()["qpos"] - wanted)
        off = np.stack(misses)[:, list(self.arm.spec.hinges)]
        return float(np.sqrt(np.mean(off**2))), stage


class Checked:
    """What a rig on an arm and one on its twin have alike: their stop, and checks of the arm."""

    arm: RealArm
    _checks: ArmChecks

    @property
    def stop(self) -> StopBoard:
        """Where an emergency stop is asked for."""
        board: StopBoard = self.arm.joints.stop  # type: ignore[attr-defined]
        return board

    def probes(self) -> Sequence[Probe]:
        """Return the checks of the arm."""
        return self._checks.probes()

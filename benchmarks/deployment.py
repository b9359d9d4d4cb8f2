"""A policy at work outside an evaluation: one episode after another, every step of it logged.

An episode is a demonstration file (``envs/recorder.py``): its journal is complete and on the disk
before the next one begins. Beside what was seen and done it holds what the policy had predicted and
asked for, what the safety chain made of it, who drove, and how long it took (``envs/step_log.py``).
Where a person took over, their steps are marked as an expert's (``envs/marks.py``).
"""

import json
import queue
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from benchmarks.deployment_log import Duty, Logged, Take, logged_episodes
from benchmarks.drive import POLICY_ERROR, SERVER_GONE, Ended, Period, Pilot, drive
from benchmarks.real_trial import check_fits
from benchmarks.trial import ATTEMPTS
from envs.arm import Array, InitialCondition, Observation
from envs.episode_meta import EpisodeMeta
from envs.errors import UsageError
from envs.recorder import INTERRUPTED
from policies.chunking import Controller
from policies.remote import PolicyAwayError, PolicyGoneError
from real.real_arm import OperatorTable, RealArm
from real.safe_arm import StoppedError
from real.scene_words import scene
from real.teleop.later import LaterAlbum
from real.teleop.takeover import POLICY, Leader, TakeOver
from real.verdict import INVALID_HARDWARE, STOPPED

OTHER = "other"
PATIENCE = 2
"""A person who has taken over may take so many times the time that the task gives a policy."""
KEYS = {
    "t": "take", "g": "give", "y": "success", "f": "failure", "d": "discard", "r": "ready",
    "q": "quit",
}  # fmt: skip
HELP = (
    "r ready, t take over, g give back, y success, f failure, d discard, q quit; "
    "space bar holds, L limp"
)


class Judge(Protocol):
    """Says how an episode ended, where no person does."""

    def begin(self, start: InitialCondition) -> None:
        """An episode begins at ``start``."""

    def look(self, period: Period) -> None:
        """Take one control period."""

    def failure(self, success: bool) -> str:
        """Return what went wrong, a label of ``benchmarks.failures``; empty for a success."""


@dataclass(frozen=True)
class Oversight:
    """Who looks on.

    Attributes:
        leader: with what somebody takes over; None: nobody can.
        judge: labels an episode; None: a person does, by ``Deployment.press``.
        rescue_s: time after which the leader takes over by itself [s]; None: a person decides.
    """

    leader: Leader | None = None
    judge: Judge | None = None
    rescue_s: float | None = None


class Deployment:
    """Lets one policy work on one arm and logs every episode.

    Attributes:
        logged: the episodes of this session.
        quit: whether the person wants to end it.
    """

    def __init__(
        self,
        arm: RealArm,
        controller: Controller,
        album: LaterAlbum,
        duty: Duty,
        oversight: Oversight | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Put a policy in charge of ``arm``; episodes go into ``album``.

        Args:
            arm: what it drives.
            controller: carries out the chunks of a policy of this arm and its task.
            album: where the episodes go.
            duty: for the records.
            oversight: who looks on.
            tell: told what the person should know.

        Raises:
            UsageError: a policy for another arm, or one that reads what nobody sees.
        """
        check_fits(controller.policy, arm)
        self.arm, self.album, self.duty, self.tell = arm, album, duty, tell
        self._length, self._pilot = controller.policy.spec.chunk, Pilot(controller)
        self._on = oversight or Oversight()
        if self._on.judge is None:
            arm.table = OperatorTable(self._ask)
        leader = self._on.leader
        self._drive = None if leader is None else TakeOver(arm.spec, leader, self._pilot)
        self._by = POLICY
        self._take: Take | None = None
        self._pressed: queue.Queue[str] = queue.Queue()
        self._lost = 0
        self.logged: list[Logged] = []
        self.quit = False

    def run(self, episodes: int) -> None:
        """Run until ``album`` holds so many whole episodes, or the person quits.

        Raises:
            StoppedError: a start pose was not reached, and no person is there to see to it.
            UsageError: the disk is full, or the policy's server is gone: it has not come back
                within its patience, or was lost ``ATTEMPTS`` times in a row; what was logged is
                kept.
            KeyboardInterrupt: the episode that ran is kept among the failures.
        """
        had = logged_episodes(self.album)
        while not self.quit and had + len(self.logged) < episodes:
            try:
                found = self.episode()
            except (KeyboardInterrupt, PolicyGoneError):
                self._interrupt()
                raise
            except StoppedError as error:
                self._interrupt()
                if not self.quit:
                    self._mend(error)
                continue
            if found is not None:
                self.logged.append(found)
                self.tell(f"{had + len(self.logged)} of {episodes}: {found}")

    def press(self, key: str) -> None:
        """A person presses a key of ``KEYS``, others do nothing; from any thread."""
        if key in KEYS:
            self._pressed.put(KEYS[key])

    def episode(self) -> Logged | None:
        """Run one episode and log it; None where it was thrown away or its server is gone.

        Raises:
            StoppedError: the start pose was not reached.
        """
        arm, index = self.arm, self.album.index
        start = self.album.collection.start(index)
        self.tell(f"Episode {index}: {arm.task.instruct(start)}.")
        seen = arm.home(start)
        try:
            self._begin(start, index)
        except PolicyAwayError:
            raise
        except PolicyGoneError as gone:
            self._count_lost(str(gone))
            return None
        meta = self._meta(start, index)
        take = Take(arm, meta, self.album.record(meta), self.duty, self._length)
        self._take = take
        ended = drive(arm, seen, self._act, PATIENCE * arm.task.horizon, self._watch)
        if ended.ends == SERVER_GONE:
            self._interrupt()
            self._count_lost(ended.reason)
            return None
        self._lost = 0
        success, failure = self._outcome(take, ended)
        self._take = None
        if take.discard or not take.stamps:
            take.recorder.discard()
            self.album.skip()
            return None
        meta, found = take.ended(success, failure, ended)
        self.album.keep(take.recorder, meta)
        return found

    def _count_lost(self, reason: str) -> None:
        """Tell that the policy's server went away; refuse to go on where it does so every time."""
        self._lost += 1
        if self._lost == ATTEMPTS:
            raise UsageError(
                f"{reason}, {ATTEMPTS} times in a row: run the same command again when the server "
                "is well; what was logged is kept"
            )
        self.tell(f"The arm is held, and the episode does not count: {reason}.")

    def _interrupt(self) -> None:
        """Keep the episode that is running as interrupted, among the failures."""
        take, self._take = self._take, None
        if take is not None and take.stamps:
            meta = replace(take.meta, success=False, failure=INTERRUPTED)
            self.album.keep(take.recorder, meta)
        elif take is not None:
            take.recorder.discard()

    def _mend(self, error: StoppedError) -> None:
        """Wait for the person where the arm was stopped on the way to a start."""
        if self._on.judge is not None:
            raise error
        self.tell(f"{error}. r goes on where it is safe, q ends.")
        self.quit = not self._ready()

    def _ask(self, start: InitialCondition) -> None:
        """Have the person set the scene up; the arm holds until they say that it is done.

        Raises:
            StoppedError: they want to end it.
        """
        self._forget()
        self.tell(f"{scene(start)} r lets the policy drive, q ends.")
        if not self._ready():
            self.quit = True
            raise StoppedError(STOPPED, "the person ended it")

    def _ready(self) -> bool:
        """Wait for the person to go on, or to end it."""
        while (wish := self._pressed.get()) not in ("ready", "quit"):
            pass
        return wish == "ready"

    def _begin(self, start: InitialCondition, index: int) -> None:
        self._pilot.begin(self.arm.task.instruct(start), index)
        if self._drive is not None:
            self._drive.begin(np.array(start.qpos))
        for part in (self._on.leader, self._on.judge):
            begin = getattr(part, "begin", None)  # a leader that is a person needs no word
            if begin is not None:
                begin(start)
        self._forget()

    def _forget(self) -> None:
        """What was pressed before is no answer to what comes."""
        while not self._pressed.empty():
            self._pressed.get()

    def _meta(self, start: InitialCondition, index: int) -> EpisodeMeta:
        arm, collection, duty = self.arm, self.album.collection, self.duty
        return EpisodeMeta(
            task=arm.task.name,
            instruction=arm.task.instruct(start),
            robot=collection.robot,
            operator=str(duty.policy["name"]),
            start=start,
            index=index,
            seed=collection.seed,
            joints=arm.spec.joints,
            control_hz=arm.spec.control_hz,
            sim=duty.sim,
            calibration_hash=arm.calibration_hash,
            deployment=json.dumps(duty.to_json(), sort_keys=True),
        )

    def _act(self, seen: Observation) -> Array:
        """Return the targets (n,) of whoever drives."""
        self._pilot.relieve()
        if self._drive is None:
            return self._pilot.act(seen)
        command = self._drive.step(seen)
        self._by = command.by
        return command.action

    def _watch(self, period: Period) -> bool:
        """Log a control period; tell whether the episode is over."""
        take = self._take
        if take is None:
            raise ValueError("no episode runs")
        take.note(period, self._pilot, self._by)
        if self._on.judge is not None:
            self._on.judge.look(period)
        while not self._pressed.empty():
            self._obey(self._pressed.get(), take)
        rescue = self._on.rescue_s
        if rescue is not None and len(take.stamps) >= rescue * self.arm.spec.control_hz:
            self._obey("take", take)
        over = self._by == POLICY and len(take.stamps) >= self.arm.task.horizon
        return over or self._done or take.said is not None or take.discard

    @property
    def _done(self) -> bool:
        return self.arm.stage == len(self.arm.task.stages)

    def _obey(self, wish: str, take: Take) -> None:
        """Do what the person wants."""
        if wish in ("success", "failure"):
            take.said = wish == "success"
        elif wish == "discard":
            take.discard = True
        elif wish == "quit":
            self.quit = True
        elif wish in ("take", "give"):
            if self._drive is None:
                self.tell("Nobody can take over: --leader says with what.")
            else:
                getattr(self._drive, wish)()

    def _outcome(self, take: Take, ended: Ended) -> tuple[bool, str]:
        """Return success, and what went wrong."""
        if ended.ends:
            self.tell(f"It ended early: {ended.reason}.")
            known = (INVALID_HARDWARE, POLICY_ERROR)
            return False, ended.ends if ended.ends in known else "safety_stop"
        if self._on.judge is not None:
            return self._done, self._on.judge.failure(self._done)
        if take.said is None and not take.discard:
            self.tell("Did it succeed? y, f; d throws it away.")
        while take.said is None and not take.discard:
            self._obey(self._pressed.get(), take)
        return bool(take.said), "" if take.said else OTHER

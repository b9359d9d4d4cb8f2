"""A session of demonstrations: what happens in each control period, and what is recorded."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from envs.cartesian import Hand
from envs.episode_meta import EpisodeMeta
from envs.recorder import INTERRUPTED, Recorder
from real.cadence import CADENCE, Notes, report
from real.safe_arm import StoppedError
from real.teleop.album import Album
from real.teleop.rig import ArmRig

READY, RECORDING = "ready", "recording"
SQUEEZE = 0.05  # change of the opening that counts as a wish
TIMEOUT, OTHER = "timeout", "other"  # labels of failures, beside CADENCE
GO_ON = ("reset", "discard")
"""What lets an arm that was stopped move again: it goes to a start, slowly."""

ADVICE = "Where it is safe, Put back goes on: the arm moves to the start, slowly."


@dataclass(frozen=True)
class Notice:
    """Something to tell the person; ``tone`` is good, bad or plain."""

    number: int
    tone: str
    text: str


@dataclass(frozen=True)
class Status:
    """What the page shows of a session.

    Attributes:
        phase: ``ready`` (recording begins with the first motion) or ``recording``.
        episode: number of the present episode.
        saved, failed: episodes in the folder.
        armed: whether a motion begins the recording: the hand has been at rest in this scene.
        steps: control periods recorded of the present episode.
        stage: stages reached in order.
        opening: measured opening of the gripper that is driven.
        closing: whether it is asked to close.
        hand: which of two arms is driven: ``left``, ``right`` or ``both``; else empty.
        stopped: why the arm is stopped; empty while it may move.
        notice: what was told last.
    """

    phase: str
    episode: int
    saved: int
    failed: int
    armed: bool
    steps: int
    stage: int
    opening: float
    closing: bool
    hand: str
    stopped: str
    notice: Notice

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


class Session:
    """Records a person's demonstrations on a rig, an episode after another.

    An episode begins with the first motion and ends with success (seen by the rig or told by the
    person), failure, or the time limit. ``tick`` and ``press`` do it all, called by one thread.
    """

    def __init__(self, rig: ArmRig, album: Album, operator: str = "person") -> None:
        """Set the first scene up; ``operator`` is the person's alias in the files."""
        self.rig, self.album, self.operator = rig, album, operator
        self._recorder: Recorder | None = None
        self._steps, self._armed = 0, False
        self._squeezed: tuple[float, ...] = ()  # the openings asked for by triggers at rest
        self._notes = Notes()
        self.stopped = ""
        self.notice = Notice(0, "plain", "Move the arm to begin.")
        self._meta = self._begin()
        self._presses: dict[str, Callable[[], None]] = {
            "gripper": self._toggle,
            "success": self._claim_success,
            "failure": lambda: self._end(False, OTHER, "Kept as a failure"),
            "discard": self._discard,
            "reset": self._reset,
            "undo": self._undo,
            "switch": self._switch,
        }

    @property
    def phase(self) -> str:
        """``ready`` or ``recording``."""
        return READY if self._recorder is None else RECORDING

    def press(self, key: str) -> None:
        """Do what one of ``PRESSES`` asks for.

        Raises:
            UsageError: the disk is full.
        """
        if self.stopped and key not in GO_ON:
            self.tell(f"{self.stopped} {ADVICE}", "bad")
            return
        try:
            self._presses[key]()
        except StoppedError as error:
            self._halt(error)

    def tick(self, hand: Hand | None) -> None:
        """Let one control period pass; ``hand`` None: nobody drives, the arm is held.

        An arm that was stopped stays so until somebody goes on to a start.

        Raises:
            UsageError: the disk is full; what was recorded is found again by the next session.
        """
        self.album.collect()
        if self.stopped:
            return
        try:
            self._drive(hand)
        except StoppedError as error:
            self._halt(error)

    def _halt(self, error: StoppedError) -> None:
        """The arm is stopped and held: keep what was recorded, and say why."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self.album.keep(recorder, replace(self._meta, success=False, failure=INTERRUPTED))
        text = str(error).replace("_", " ", 1)
        self.stopped = f"{text[:1].upper()}{text[1:]}."
        self.tell(f"{self.stopped} {ADVICE}", "bad")

    def _drive(self, hand: Hand | None) -> None:
        if hand is None:
            self.rig.hold()
            return
        if not self._armed:
            self._armed = hand.still
            hand = Hand()
        if self._recorder is None and hand.still and not self._gripped(hand):
            self.rig.hold()
            return
        if self._recorder is None:
            self._recorder = self.album.record(self._meta)
            self.tell(f"Recording episode {self.album.index}.")
        self._step(hand, self._recorder)

    def _gripped(self, hand: Hand) -> bool:
        """Whether a gripper is asked to move: by its key, or by a trigger that is moved."""
        openings = hand.openings
        if not openings:
            return self.rig.control.gripping > SQUEEZE
        if len(openings) != len(self._squeezed):
            self._squeezed = openings
        pairs = zip(openings, self._squeezed, strict=True)
        return any(abs(now - rest) > SQUEEZE for now, rest in pairs)

    def _step(self, hand: Hand, recorder: Recorder) -> None:
        """Command and record one period, and see whether the episode is over."""
        rig = self.rig
        action = rig.control.step(hand, rig.observation["qpos"])
        moment = rig.moment(self._steps)
        recorder.append(rig.observation, action, moment)
        self._notes.add(moment, rig.numbers, action, rig.observation["qpos"])
        rig.command(action)
        self._steps += 1
        if rig.success:
            self._end(True, "", "Success")
        elif self._steps >= rig.limit:
            self._end(False, TIMEOUT, "The time is over: kept as a failure")

    def status(self) -> Status:
        """Return what the page shows."""
        control = self.rig.control
        return Status(
            phase=self.phase,
            episode=self.album.index,
            saved=len(self.album.successes),
            failed=len(self.album.failed),
            armed=self._armed,
            steps=self._steps,
            stage=self.rig.stage,
            opening=float(self.rig.observation["qpos"][control.gripper]),
            closing=control.wanted < 0.5,
            hand=control.hand,
            stopped=self.stopped,
            notice=self.notice,
        )

    def close(self) -> None:
        """Keep what is being recorded as interrupted, among the failures."""
        if self._recorder is not None and self._steps:
            recorder, self._recorder = self._recorder, None
            self.album.keep(recorder, replace(self._meta, success=False, failure=INTERRUPTED))

    def tell(self, text: str, tone: str = "plain") -> None:
        """Tell the person something."""
        self.notice = Notice(self.notice.number + 1, tone, text)

    def _begin(self) -> EpisodeMeta:
        """Set the scene of the next episode up and return what is known of it."""
        rig = self.rig
        self._recorder, self._steps, self._armed = None, 0, False
        self._squeezed, self._notes = (), Notes()
        start = rig.begin(self.album.index)
        self.stopped = ""
        return EpisodeMeta(
            task=rig.task.name,
            instruction=rig.task.instruct(start),
            robot=rig.collection.robot,
            operator=self.operator,
            start=start,
            index=self.album.index,
            seed=rig.collection.seed,
            joints=rig.arm.spec.joints,
            control_hz=rig.arm.spec.control_hz,
            sim=rig.sim,
            calibration_hash=rig.calibration_hash,
        )

    @property
    def instruction(self) -> str:
        """What is to be done in the present episode."""
        return self._meta.instruction

    def _end(self, success: bool, failure: str, text: str) -> None:
        """Keep the recording and go on to the next scene."""
        recorder = self._recorder
        if recorder is None:
            self.tell("Nothing is being recorded yet: move the arm first.")
            return
        self._recorder = None
        flag, told = self._rhythm()
        if flag:
            success, failure, text = False, CADENCE, f"Kept as a failure, {flag}"
        meta = replace(self._meta, success=success, failure=failure, flag=flag)
        kept = self.album.keep(recorder, meta)
        seconds = self._steps / meta.control_hz
        self._meta = self._begin()
        tone = "good" if success else "bad"
        self.tell(f"{text}: episode {kept.index}, {seconds:.1f} s{told}.", tone)

    def _rhythm(self) -> tuple[str, str]:
        """Report how regular the recording was; return what is wrong with it, and what to tell."""
        if not self.rig.timed or len(self._notes) < 2:
            return "", ""
        cadence = self._notes.measure(self._meta.control_hz, self._meta.joints)
        report(self.album.out, self.album.index, cadence)
        return cadence.flag, f" at {cadence.hz:.1f} Hz, {cadence.lost} lost ticks"

    def _toggle(self) -> None:
        self.rig.control.toggle()

    def _switch(self) -> None:
        """Drive the other one of two arms; this one stays where it is, and holds what it holds."""
        if not self.rig.control.hand:
            self.tell(f"{self.rig.collection.robot} has one arm.")
            return
        self.rig.control.switch()
        self.tell(f"You drive the {self.rig.control.hand} arm; the other one holds.")

    def _claim_success(self) -> None:
        """Take the person's word, unless the rig sees for itself."""
        if self._recorder is not None and self.rig.judges:
            stages = self.rig.task.stages
            stage = self.rig.stage
            if stage < len(stages):
                self.tell(
                    f"Not a success yet: “{stages[stage]}” is still to come. A success is kept "
                    "by itself.",
                    "bad",
                )
                return
        self._end(True, "", "Success")

    def _throw_away(self) -> bool:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.discard()
        return recorder is not None

    def _discard(self) -> None:
        thrown = self._throw_away()
        self.album.skip()
        self._meta = self._begin()
        self.tell("Thrown away. This is another scene." if thrown else "This is another scene.")

    def _reset(self) -> None:
        thrown = self._throw_away()
        self._meta = self._begin()
        self.tell("Thrown away. The same scene again." if thrown else "The same scene again.")

    def _undo(self) -> None:
        """Take the last kept episode back and set its scene up again."""
        if self._recorder is not None:
            self.tell("End this episode first, then undo the one before.", "bad")
            return
        kept = self.album.undo()
        if kept is None:
            self.tell("There is no episode of this session left to undo.")
            return
        self._meta = self._begin()
        self.tell(f"Episode {kept.index} is taken back (it lies in undone/). Its scene again.")

"""Record demonstrations on an arm that follows a leader, real or the twin."""

import queue
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from envs.collection import Collection
    from real.emulators.twin import ClockTwin, Twin
    from real.follow import FollowSession
    from real.real_arm import RealArm
    from real.teleop.takeover import Leader
    from scripts.arms import Place

EXAMPLES = """
armtrials record --robot koch --port /dev/ttyUSB0 --leader /dev/ttyUSB1 --out data/koch
armtrials record --robot viperx --port /dev/ttyUSB0 --leader /dev/ttyUSB1 --leader-robot viperx
armtrials record --twin --script --episodes 10 --out data/twin
armtrials record --twin --script --pixels --out data/twin_pixels
armtrials record --twin --robot koch --leader /dev/ttyUSB0
armtrials record --robot koch --port /dev/ttyUSB0 --leader /dev/ttyUSB1 --pixels \\
    --cameras overhead=realsense wrist=/dev/video0 --calibration calibration.json
"""


@dataclass(frozen=True)
class Record:
    """Record at 50 Hz while a person moves a leader arm; keys work over SSH, too.

    Keys: s start, y success, f failure, r redo, u undo, q quit; the space bar holds the arm, a
    capital L makes it limp. The arm waits for its leader and takes over without a jump. An episode
    is safe as soon as it is kept, whatever happens to the program; the same command continues.
    """

    out: Path = Path("data/record")
    """Folder of the demonstrations; made if missing."""
    task: str = "pick_place"
    """Task to demonstrate."""
    robot: str = ""
    """Follower: viperx, koch (default: the task's)."""
    port: str = ""
    """Its serial port; not with --twin."""
    leader: str = ""
    """Serial port of the leader."""
    leader_robot: str = ""
    """What leads: koch_leader (of a koch), viperx (of a viperx, in compliance)."""
    leader_calibration: Path | None = None
    """Calibration of this very leader: armtrials calibrate joints --robot koch_leader."""
    twin: bool = False
    """Drive the hardware twin instead of an arm."""
    script: bool = False
    """With --twin: the task's demonstrator leads, no person is needed."""
    clock: Literal["real", "own"] = "real"
    """With --twin --script: own: time passes only while the program waits."""
    patient: bool = False
    """Wait longer for emulated motors than for real ones, on a busy computer."""
    interface: str = "socketcan"
    """Of python-can, for an openarm whose CAN channel is --port."""
    calibration: Path | None = None
    """Calibration of this very arm; its hash goes into every episode."""
    pixels: bool = False
    """Record what the cameras see, 30 pictures a second, instead of object poses."""
    image_size: int | None = None
    """Width and height of the pictures that --pixels records [px] (default: 84)."""
    cameras: tuple[str, ...] = ()
    """Where an arm's cameras are: overhead=realsense:SERIAL wrist=/dev/video0."""
    objects: Literal["truth", "tags"] = "truth"
    """With --twin: object poses by what is true, or by tags that the overhead camera sees."""
    tags: Path | None = None
    """Of an arm: file of tagged objects, for their poses by the overhead camera."""
    episodes: int = 10
    """Successful episodes in the folder, after which it ends."""
    starts: Path | None = None
    """File of starts, as armtrials diagnose and flywheel propose; default: as the task draws."""
    seconds: float = 60.0
    """Longest episode, for the room on the disk [s]."""
    operator: str = "person"
    """Alias of the person, stored with every episode."""
    seed: int = 0
    """Another seed gives other scenes."""

    def run(self) -> int:
        """Record until there are enough, q or Ctrl-C; return 0."""
        from rich.console import Console

        from real.follow import FollowSession, preflight
        from real.teleop.later import LaterAlbum
        from scripts.arms import open_arm

        self._check()
        place = self._place()
        console = Console(highlight=False, soft_wrap=True)

        def tell(text: str) -> None:
            console.print(text, markup=False)

        with ExitStack() as stack:
            collection = self._collection()
            arm, twin = open_arm(stack, place, collection, tell)
            preflight(self.out, arm, self.episodes, self.seconds)
            leader = self._leader(arm, twin)
            album = stack.enter_context(LaterAlbum(self.out, collection))
            who = "script" if self.script else self.operator
            session = FollowSession(arm, leader, album, who, tell, sim=place.emulated)
            try:
                self._record(session, leader, stack)
            except KeyboardInterrupt:
                session.interrupt()
        counts = f"{len(album.successes)} demonstrations, {len(album.failed)} failures"
        tell(f"{self.out}: {counts}.\nLook at them: armtrials inspect {self.out}")
        return 0

    def _check(self) -> None:
        """Refuse what does not go together."""
        from envs.errors import UsageError

        if self.script and not self.twin:
            raise UsageError("--script needs --twin: it looks at what is true")
        if self.script == bool(self.leader):
            raise UsageError("give --leader, the port of the leader, or --twin --script")
        if self.clock == "own" and not self.script:
            raise UsageError("--clock own needs --script: a person has a clock of their own")
        if self.episodes < 1 or not self.seconds > 0:
            raise UsageError("--episodes and --seconds must be positive")

    def _place(self) -> "Place":
        from scripts.arms import Place

        return Place(
            port=self.port,
            interface=self.interface,
            twin=self.twin,
            own_clock=self.clock == "own",
            patient=self.patient,
            objects=self.objects,
            cameras=self.cameras,
            tags=self.tags,
            calibration=self.calibration,
        )

    def _collection(self) -> "Collection":
        from scripts.collect import Collect

        return Collect(
            out=self.out,
            task=self.task,
            robot=self.robot,
            seed=self.seed,
            pixels=self.pixels,
            image_size=self.image_size,
            starts=self.starts,
        ).collection()

    def _leader(self, arm: "RealArm", twin: "Twin | ClockTwin | None") -> "Leader":
        from envs.crew import crew
        from real.address import PATIENT, ArmAddress
        from real.calibration import Calibration
        from real.connect import connect_leader
        from real.emulators.twin_script import ScriptedLeader
        from real.teleop.takeover import PoseLeader

        if twin is not None and self.script:
            operator = crew("clean")[0].on(arm.spec)
            expert = arm.task.expert(twin.truth.world, operator)
            return ScriptedLeader(twin.truth, expert, self.seed)
        usual = {"koch": "koch_leader"}.get(arm.spec.name, arm.spec.name)
        pace = PATIENT.pace if self.patient else None
        known = Calibration.in_force(self.leader_calibration)
        address = ArmAddress(self.leader_robot or usual, self.leader, calibration=known)
        return PoseLeader(connect_leader(address, pace))

    def _record(self, session: "FollowSession", leader: "Leader", stack: ExitStack) -> None:
        """Record until there are enough episodes, or the person quits."""
        from real.control import FarArm
        from real.emulators.twin_script import ScriptedLeader, scripted
        from real.keys import on_keys
        from real.realtime import BELOW, keep_time
        from real.safe_arm import StoppedError
        from real.stop import StopBoard

        joints = session.arm.joints
        board = joints.stop if isinstance(joints, FarArm) else StopBoard()
        pressed: queue.Queue[str] = queue.Queue()
        stack.enter_context(on_keys(board, pressed.put))
        album = session.album
        if isinstance(leader, ScriptedLeader):
            while len(album.successes) + self._pending(session) < self.episodes:
                scripted(session, leader)
            return
        keep_time(BELOW)  # whatever is started has been
        ready = False
        while not session.quit and len(album.successes) + self._pending(session) < self.episodes:
            try:
                ready = self._turn(session, ready, pressed)
            except StoppedError as error:
                session.interrupt()
                session.tell(f"{error}. r goes on where it is safe, q ends.")
                while (key := pressed.get()) not in ("r", "q"):
                    pass
                session.quit, ready = key == "q", False

    @staticmethod
    def _turn(session: "FollowSession", ready: bool, pressed: "queue.Queue[str]") -> bool:
        """Let a control period pass, or go to the next start; return whether one is set up."""
        if not ready:
            session.begin()
        ended = len(session.takes)
        while not pressed.empty():
            session.press(pressed.get())
        session.tick()
        return len(session.takes) == ended

    @staticmethod
    def _pending(session: "FollowSession") -> int:
        """Count the successes whose files are being made."""
        from real.teleop.album import FAILED

        return sum(k.path.parent.name != FAILED for k in session.album.pending.values())

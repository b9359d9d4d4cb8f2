"""Let a policy work on an arm outside an evaluation, and log every episode."""

import sys
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from scripts.chunks import Chunks

if TYPE_CHECKING:
    from benchmarks.deployment import Deployment
    from benchmarks.deployment_log import Duty
    from benchmarks.deployment_site import Site
    from benchmarks.execution import Execution
    from policies.base import Policy
    from scripts.arms import Place

EXAMPLES = """
armtrials deploy --policy runs/act --twin --episodes 20
armtrials deploy --policy runs/act --twin --rescue 6 --gap hard --out deployments/act-hard
armtrials deploy --policy runs/act --twin --execute 5 --ensemble 0.01
armtrials deploy --policy runs/diffusion --twin --clock real --delay 5
armtrials deploy --policy runs/act --port /dev/ttyUSB0 --verdict gates/act/verdict.json
armtrials deploy --policy remote:ws://localhost:8765 --twin
armtrials deploy --policy runs/act --port /dev/ttyUSB0 --leader /dev/ttyUSB1 --override "no table"
armtrials inspect deployments/act
"""


@dataclass(frozen=True)
class Deploy:
    """Run a policy episode by episode on the hardware twin or a real arm, until there are enough.

    A real arm starts on a passing verdict of armtrials gate for exactly this policy, robot,
    calibration and execution (--execute, --ensemble and so on); none can be of a policy that is
    served elsewhere, which needs --override. Every episode is a demonstration file that also holds
    what was predicted, asked for, sent, how long it took, and who drove; failures lie in failed/.
    What was logged is safe whatever happens to the program; the same command continues.
    On a real arm the policy drives when you press r: the scene is set up, and nobody is near.
    Keys: t take over with the leader, g give back, y success, f failure, d discard, q quit; the
    space bar holds the arm, a capital L makes it limp.
    """

    policy: str
    """Checkpoint folder, exported or not, a policy that is served elsewhere, remote:ws://HOST:PORT,
    or a floor (floor:hold, floor:random, floor:replay:DATA)."""
    robot: str = ""
    """Registered robot (default: the policy's; of a floor viperx)."""
    task: str = ""
    """Registered task (default: the policy's; of a floor pick_place)."""
    out: Path | None = None
    """Folder of the log; default: deployments/POLICY."""
    episodes: int = 10
    """Episodes in the folder, after which it ends."""
    twin: bool = False
    """Work on the hardware twin."""
    port: str = ""
    """Serial port, or CAN channel, of a real arm."""
    verdict: Path | None = None
    """Of armtrials gate; default: gates/POLICY/verdict.json."""
    key: Path | None = None
    """Key with which the verdict must be signed."""
    interface: str = "socketcan"
    """Of python-can, for an openarm whose CAN channel is --port."""
    calibration: Path | None = None
    """Calibration in force on the arm: file, or folder with calibration.json."""
    override: str = ""
    """A reason to go on without a verdict that holds; every episode records it."""
    cameras: tuple[str, ...] = ()
    """Where a real arm's cameras are: overhead=realsense:SERIAL wrist=/dev/video0."""
    tags: Path | None = None
    """File of tagged objects: a policy of the state track is told what the overhead camera sees."""
    leader: str = ""
    """Serial port of a leader, with which a person takes over."""
    leader_robot: str = ""
    """What leads: koch_leader (of a koch), viperx (of a viperx, in compliance)."""
    leader_calibration: Path | None = None
    """Calibration of this very leader."""
    rescue: float | None = None
    """With --twin: the task's demonstrator takes over after so many seconds, as a person would."""
    clock: Literal["own", "real"] = "own"
    """With --twin: own: time passes only while the program waits; a busy computer changes nothing.
    """
    gap: str = "none"
    """With --twin: how it differs from the simulation: none, ordinary, hard."""
    faults: tuple[str, ...] = ()
    """With --twin: faults of the line, as for armtrials emulate."""
    starts: Path | None = None
    """File of start states; default: drawn as the task says."""
    chunks: tyro.conf.OmitArgPrefixes[Chunks] = field(default_factory=Chunks)
    """How chunks are carried out."""
    threads: int = 1
    """Threads of a prediction."""
    patience: float = 60.0
    """Seconds to wait for the server of a remote policy, for an answer or when it is gone."""
    seed: int = 0
    """Another seed gives other starts; they are never those of armtrials collect."""

    def run(self) -> int:
        """Run episodes until there are enough, q or Ctrl-C; return 0."""
        from rich.console import Console

        from benchmarks.deployment import Deployment
        from benchmarks.deployment_log import logged_episodes
        from benchmarks.deployment_site import duty_of, load, work_of
        from real.teleop.later import LaterAlbum

        place = self._place()
        console = Console(highlight=False, soft_wrap=True)

        def tell(text: str) -> None:
            console.print(text, markup=False)

        loaded = load(self.policy, self.task, self.robot, self.threads, self.patience)
        policy, collection = work_of(loaded, self.task, self.robot, self.starts, self.seed)
        execution = self._execution(policy)
        leave = self._leave(collection.robot, execution)
        out = self.out or Path("deployments") / self._name(policy)
        with ExitStack() as stack:
            controller = stack.enter_context(execution.driving(policy))  # ends after the arm
            album = stack.enter_context(LaterAlbum(out, collection, self._who(policy)))
            found = duty_of(policy, self.policy, leave, out, place.emulated)
            duty = replace(found, execution=execution.to_json())
            site = stack.enter_context(self._site(policy, collection.robot, place, duty))
            self._make_room(site, out, self.episodes - logged_episodes(album))
            made = Deployment(site.arm, controller, album, site.duty, site.oversight, tell)
            self._work(made, site, stack)
        wins = [one for one in made.logged if one.success]
        helped = sum(one.taken > 0 for one in wins)
        tell(
            f"{len(wins)} of {len(made.logged)} episodes succeeded"
            f"{f', {helped} of them with help' if helped else ''}; "
            f"{out} holds {logged_episodes(album)}."
        )
        learns = f"; go on: armtrials flywheel --log {out}" if Path(self.policy).is_dir() else ""
        tell(f"Look at them: armtrials inspect {out}{learns}")
        return 0

    def _name(self, policy: "Policy") -> str:
        """Return what the folder of the log is called: as the checkpoint's, or the policy."""
        from benchmarks.manifest import file_name

        folder = Path(self.policy)
        return folder.name if folder.is_dir() else file_name(policy.name)

    def _place(self) -> "Place":
        """Refuse what does not go together; return which arm it is."""
        from envs.errors import UsageError
        from scripts.arms import Place

        if self.rescue is not None and (not self.twin or self.leader or self.rescue < 0):
            raise UsageError("--rescue must be 0 or more seconds, with --twin and without --leader")
        if self.leader and self.twin and self.clock == "own":
            raise UsageError("--leader needs --clock real: a person has a clock of their own")
        if self.twin and self.override:
            raise UsageError("--override belongs to a real arm, not to --twin")
        if self.episodes < 1:
            raise UsageError(f"--episodes must be at least 1, got {self.episodes}")
        return Place(
            port=self.port,
            interface=self.interface,
            twin=self.twin,
            own_clock=self.twin and self.clock == "own",
            cameras=self.cameras,
            tags=self.tags,
            calibration=self.calibration,
        )

    def _make_room(self, site: "Site", out: Path, missing: int) -> None:
        """Refuse a disk that is too small, and a rescue that would come after the end."""
        from benchmarks.deployment import PATIENCE
        from envs.errors import UsageError
        from real.follow import preflight

        task_s = site.arm.task.horizon / site.arm.spec.control_hz
        if self.rescue is not None and not self.rescue < task_s:
            told = f"--rescue must be below {task_s:g} s, the time of the task, got {self.rescue:g}"
            raise UsageError(told)
        preflight(out, site.arm, max(0, missing), PATIENCE * task_s)

    def _execution(self, policy: "Policy") -> "Execution":
        """Let ``policy`` denoise as asked; return how its chunks are carried out."""
        wanted = self.chunks.wanted()
        wanted.use(policy)
        return wanted.execution(policy.spec)

    def _leave(self, robot: str, execution: "Execution") -> dict[str, Any]:
        """Return by whose leave the arm moves; a twin needs none."""
        from benchmarks.deployment_site import TWIN
        from benchmarks.gate.verdict import Use, require_verdict

        if self.twin:
            return {**TWIN, "clock": self.clock, "gap": self.gap}
        verdict = self.verdict or Path("gates") / Path(self.policy).name / "verdict.json"
        use = Use(self.policy, robot, self.calibration, execution.to_json())
        return dict(require_verdict(verdict, use, self.key, self.override).to_json())

    def _who(self, policy: "Policy") -> dict[str, Any]:
        """Return who fills the folder: one policy, on one kind of arm."""
        from benchmarks.deployment_site import artefact_of

        where = f"twin ({self.gap})" if self.twin else "arm"
        return {"operator": "policy", "policy": artefact_of(policy, self.policy), "where": where}

    def _site(
        self,
        policy: "Policy",
        robot: str,
        place: "Place",
        duty: "Duty",
    ) -> "AbstractContextManager[Site]":
        """Switch the twin or the arm on."""
        from benchmarks.deployment_site import Lead, arm_site, twin_site
        from envs.gap import GAPS
        from real.emulators.twin import TwinSetup

        lead = Lead(self.leader, self.leader_robot, self.leader_calibration)
        if self.twin:
            task, gap = policy.spec.task, GAPS[self.gap]
            setup = TwinSetup(task, robot, gap, faults=self.faults, seed=self.seed)
            return twin_site(setup, policy, duty, self.clock, lead if self.leader else self.rescue)
        address, eyes = place.find(robot)
        return arm_site(address, policy, duty, lead, eyes)

    def _work(self, made: "Deployment", site: "Site", stack: ExitStack) -> None:
        """Run the episodes, a person at the keys where there is one."""
        from benchmarks.deployment import HELP
        from envs.errors import UsageError
        from real.keys import on_keys
        from real.stop import StopBoard

        if sys.stdin is not None and sys.stdin.isatty():
            stack.enter_context(on_keys(site.stop or StopBoard(), made.press))
            made.tell(HELP)
        elif not self.twin:
            raise UsageError("a real arm needs a terminal: its keys stop it and label episodes")
        made.run(self.episodes)

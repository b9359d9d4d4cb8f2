"""Let a trained policy work on the hardware twin, through the real driver stack."""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.real_trial import RealTrial, Trials
    from benchmarks.view import Shown
    from envs.arm import CameraSpec
    from policies.base import Policy
    from real.emulators.twin import ClockTwin, Twin
    from real.real_arm import RealArm

EXAMPLES = """
armtrials demo twin
armtrials demo twin --policy runs/act --trials 20
armtrials demo twin --policy runs/act_pixels
armtrials demo twin --objects tags --trials 20
armtrials demo twin --script --robot openarm
armtrials demo twin --gap hard --faults loss=0.01 crc=0.01
armtrials demo twin --clock own --out twin.html
armtrials demo session
armtrials demo session --policy runs/act runs/diffusion --trials 10
"""

ATTEMPTS = 3
"""How often a trial is run that says nothing about the policy (``invalid_hardware``)."""


@dataclass(frozen=True)
class Demo:
    """Start the twin, let a policy do its task on it, and write a page about the trial.

    With `session` two policies are compared blindly instead, from the lock to the unblinding, by a
    scripted operator: as `armtrials session` does it with a person on an arm.

    The twin is emulated motors on a serial port of their own with MuJoCo at the far end; the policy
    drives it through the driver and the safety chain of a real arm. No hardware is needed. Without
    --policy one is trained on the spot (some minutes, once) and kept.
    """

    what: tyro.conf.Positional[Literal["twin", "session"]] = "twin"
    """What is shown."""
    policy: tuple[Path, ...] = ()
    """Checkpoint folder of a policy, for a session of two or more; default: ACT (and BC), trained
    here."""
    script: bool = False
    """Instead of a policy the task's demonstrator, who looks at what is true: no training."""
    task: str = "pick_place"
    """With --script: what is to be done."""
    robot: str = ""
    """With --script: the arm: viperx, koch or openarm (default: the task's)."""
    trials: int | None = None
    """Trials, of different starts; the page shows the first. In a session: blocks at most, each a
    start that every policy meets. Default: 1, in a session 6."""
    gap: str = "none"
    """How the twin differs from the simulation: none, ordinary, hard."""
    faults: tuple[str, ...] = ()
    """Faults of the line, as for armtrials emulate."""
    clock: Literal["real", "own"] = "real"
    """Own: time passes only while the program waits, so a busy computer changes nothing."""
    patient: bool = False
    """Wait longer for the emulated motors than for real ones: for a busy computer."""
    objects: Literal["truth", "tags"] = "truth"
    """Tags: a policy of the state track is told what the overhead camera sees of tags."""
    seed: int = 0
    """First start: number of the initial condition."""
    out: Path = Path("twin.html")
    """The page."""
    cache: Path = Path("runs/demo")
    """Folder of the policies that are trained here, and of the session."""

    def run(self) -> int:
        """Run the trials and write the page; return 0 where the hardware did its part."""
        from rich.console import Console

        from benchmarks.report.view_page import view_page
        from benchmarks.writer import refuse_disk_errors
        from envs.atomic import write_whole
        from envs.errors import UsageError
        from envs.gap import GAPS

        if self.trials is not None and self.trials < 1:
            raise UsageError(f"--trials must be at least 1, got {self.trials}")
        if self.what == "twin" and self.out.is_dir():
            raise UsageError(f"--out must be a file, got the folder {self.out}")
        GAPS[self.gap]
        console = Console(highlight=False, soft_wrap=True)
        if self.what == "session":
            return self._session(console)
        if len(self.policy) > 1:
            raise UsageError("armtrials demo twin takes one policy; a session takes more")
        shown, trials = self._trials(self._actor(console), console)
        with refuse_disk_errors(self.out.parent, "--out"):
            write_whole(self.out, view_page(shown).encode())
        valid = [trial for trial in trials if not trial.void]
        wins = sum(trial.success for trial in valid)
        text = f"{wins} of {len(valid)} trials on the twin succeeded"
        if void := len(trials) - len(valid):
            text += f"; {void} void (invalid_hardware): this computer is too busy to keep 50 Hz; "
            text += "--patient bears more, --clock own does not depend on it"
        console.print(f"{text}.\n{self.out}: {shown.title}. {shown.lead}", markup=False)
        return 0 if valid else 1

    def _actor(self, console: "Console") -> "_Actor":
        """Return who does the task."""
        from envs.errors import UsageError
        from envs.tasks import TASKS

        if self.script:
            if self.policy:
                raise UsageError("give --policy or --script, not both")
            return _Actor("demonstrator", self.task, self.robot or TASKS[self.task].robot)
        if self.robot:
            raise UsageError("--robot belongs to --script; a policy has its own arm")
        from benchmarks.trial import cameras_of
        from policies.checkpoint import load_checkpoint

        policy = load_checkpoint(self.policy[0] if self.policy else self._trained(console, "act"))
        spec = policy.spec
        return _Actor(policy.name, spec.task, spec.arm, cameras_of(spec), policy)

    def _trials(self, actor: "_Actor", console: "Console") -> tuple["Shown", list["RealTrial"]]:
        """Run all trials; return what the page shows of the first, and all of them."""
        from benchmarks.protocol import PROTOCOLS
        from benchmarks.twin_show import Watched, show
        from envs.gap import GAPS
        from real.address import PATIENT
        from real.emulators.twin import ClockTwin, Twin, TwinSetup
        from real.emulators.twin_table import Sight, twin_arm

        setup = TwinSetup(
            actor.task, actor.robot, GAPS[self.gap], faults=self.faults, seed=self.seed
        )
        protocol = replace(PROTOCOLS[f"{actor.task}/v1"], robot=actor.robot)
        trials: list[RealTrial] = []
        kind = ClockTwin if self.clock == "own" else Twin
        with (
            tempfile.TemporaryDirectory() as folder,
            kind(setup) as twin,
            twin_arm(
                twin,
                actor.cameras,
                PATIENT if self.patient else None,
                Path(folder) / "safety.jsonl",
                Sight(self.objects),
            ) as arm,
        ):
            where = "a clock of its own" if self.clock == "own" else f"{twin.address.port}"
            console.print(f"The twin of {actor.robot} is on {where}.", markup=False)
            watched = Watched(arm.table)  # type: ignore[arg-type]
            arm.table = watched
            runs = actor.trials(arm, twin)
            for number in range(self.seed, self.seed + (self.trials or 1)):
                for _ in range(ATTEMPTS):
                    trial = runs.run(protocol.start("nominal", number, "test"), number)
                    if not trial.void:
                        break
                console.print(f"  start {number}: {_said(trial)}", markup=False)
                if not trials:
                    about = [("gap", self.gap), ("clock", self.clock), ("start", f"{number}")]
                    shown = show(trial, watched, actor.name, about, Path(folder) / "safety.jsonl")
                trials.append(trial)
        return shown, trials

    def _session(self, console: "Console") -> int:
        """Compare policies blindly on the twin."""
        from envs.errors import UsageError
        from scripts.demo_session import DemoSession

        if self.script or self.robot or self.faults or self.patient or self.objects != "truth":
            raise UsageError(
                "--script, --robot, --faults, --patient and --objects belong to armtrials demo "
                "twin; a session has policies, and a clock of its own"
            )
        policies = self.policy or tuple(self._trained(console, algo) for algo in ("act", "bc"))
        data = None if self.policy else self.cache / "data"
        session = DemoSession(
            [str(path) for path in policies], self.trials or 6, self.cache / "session", self.gap,
            data, self.seed,
        )  # fmt: skip
        return session.run(lambda text: console.print(text, markup=False))

    def _trained(self, console: "Console", algo: str) -> Path:
        """Return the checkpoint that is trained here once: preset quick."""
        import policies.train as training
        from envs.collect import collect
        from envs.collection import Collection
        from policies.train_config import TrainConfig
        from scripts.progress import progress

        out, data = self.cache / algo, self.cache / "data"
        if (out / "canary.safetensors").is_file():
            console.print(f"The policy is {out}; --policy takes another.", markup=False)
            return out
        console.print(
            f"A policy is trained first: 50 demonstrations, {algo} (quick).", markup=False
        )
        with progress("collect pick_place", 50) as advance:
            collect(Collection(task="pick_place"), 50, data, os.cpu_count() or 1, advance)
        config = TrainConfig(algo=algo, data=data, out=out, preset="quick")
        with progress(f"train {algo}", config.resolve().training.steps) as advance:
            return training.train(config, advance, console.print)


@dataclass(frozen=True)
class _Actor:
    """Who does which task on which arm; without a policy the task's demonstrator."""

    name: str
    task: str
    robot: str
    cameras: "tuple[CameraSpec, ...]" = ()
    policy: "Policy | None" = None

    def trials(self, arm: "RealArm", twin: "Twin | ClockTwin") -> "Trials":
        """Return what runs its trials on ``arm``."""
        from benchmarks.real_trial import Scripted, Trials, trials_of
        from envs.crew import crew

        if self.policy is not None:
            return trials_of(arm, self.policy)
        expert = arm.task.expert(twin.truth.world, crew("clean")[0].on(arm.spec))
        return Trials(arm, Scripted(twin.truth, expert))


def _said(trial: "RealTrial") -> str:
    """Return a line about a trial."""
    how = "success" if trial.success else trial.ends or f"failure at stage {trial.stage}"
    seconds = len(trial.actions) / trial.hz
    return f"{how} after {seconds:.1f} s, {trial.lost} lost ticks"

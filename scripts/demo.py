"""Let a trained policy work on the hardware twin, through the real driver stack."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.real_trial import RealTrial
    from benchmarks.view import Shown
    from policies.base import Policy

EXAMPLES = """
armtrials demo twin
armtrials demo twin --policy runs/act --trials 20
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
    trials: int | None = None
    """Trials, of different starts; the page shows the first. In a session: blocks at most, each a
    start that every policy meets. Default: 1, in a session 6."""
    gap: str = "none"
    """How the twin differs from the simulation: none, ordinary, hard."""
    faults: tuple[str, ...] = ()
    """Faults of the line, as for armtrials emulate."""
    clock: Literal["real", "own"] = "real"
    """Own: time passes only while the program waits, so a busy computer changes nothing."""
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
        from benchmarks.writer import refuse_disk_errors, write_atomic
        from envs.errors import UsageError
        from envs.gap import GAPS
        from policies.checkpoint import load_checkpoint

        if self.trials is not None and self.trials < 1:
            raise UsageError(f"--trials must be at least 1, got {self.trials}")
        GAPS[self.gap]
        console = Console(highlight=False, soft_wrap=True)
        if self.what == "session":
            return self._session(console)
        if len(self.policy) > 1:
            raise UsageError("armtrials demo twin takes one policy; a session takes more")
        policy = load_checkpoint(self.policy[0] if self.policy else self._trained(console, "act"))
        shown, trials = self._trials(policy, console)
        with refuse_disk_errors(self.out.parent, "--out"):
            write_atomic(self.out, view_page(shown).encode())
        valid = [trial for trial in trials if trial.ends != "invalid_hardware"]
        wins = sum(trial.success for trial in valid)
        text = f"{wins} of {len(valid)} trials on the twin succeeded"
        if void := len(trials) - len(valid):
            text += f"; {void} void (invalid_hardware): this computer is too busy to keep 50 Hz; "
            text += "--clock own does not depend on it"
        console.print(f"{text}.\n{self.out}: {shown.title}. {shown.lead}", markup=False)
        return 0 if valid else 1

    def _trials(self, policy: "Policy", console: "Console") -> tuple["Shown", list["RealTrial"]]:
        """Run all trials; return what the page shows of the first, and all of them."""
        from benchmarks.protocol import PROTOCOLS
        from benchmarks.real_trial import Trials
        from benchmarks.trial import cameras_of
        from benchmarks.twin_show import Watched, show
        from envs.gap import GAPS
        from real.emulators.twin import ClockTwin, Twin, TwinSetup
        from real.emulators.twin_table import twin_arm

        spec = policy.spec
        setup = TwinSetup(spec.task, spec.arm, GAPS[self.gap], faults=self.faults, seed=self.seed)
        protocol = PROTOCOLS[f"{spec.task}/v1"]
        trials: list[RealTrial] = []
        kind = ClockTwin if self.clock == "own" else Twin
        with (
            tempfile.TemporaryDirectory() as folder,
            kind(setup) as twin,
            twin_arm(twin, cameras_of(spec), log=Path(folder) / "safety.jsonl") as arm,
        ):
            where = "a clock of its own" if self.clock == "own" else f"{twin.address.port}"
            console.print(f"The twin of {spec.arm} is on {where}.", markup=False)
            watched = Watched(arm.table)  # type: ignore[arg-type]
            arm.table = watched
            runs = Trials(arm, policy)
            for number in range(self.seed, self.seed + (self.trials or 1)):
                for _ in range(ATTEMPTS):
                    trial = runs.run(protocol.start("nominal", number, "test"), number)
                    if trial.ends != "invalid_hardware":
                        break
                console.print(f"  start {number}: {_said(trial)}", markup=False)
                if not trials:
                    about = [("gap", self.gap), ("clock", self.clock), ("start", f"{number}")]
                    shown = show(trial, watched, policy.name, about, Path(folder) / "safety.jsonl")
                trials.append(trial)
        return shown, trials

    def _session(self, console: "Console") -> int:
        """Compare policies blindly on the twin."""
        from envs.errors import UsageError
        from scripts.demo_session import DemoSession

        if self.faults or self.clock != "real":
            raise UsageError("a demo session has a clock of its own and no faults")
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


def _said(trial: "RealTrial") -> str:
    """Return a line about a trial."""
    how = "success" if trial.success else trial.ends or f"failure at stage {trial.stage}"
    seconds = len(trial.actions) / trial.hz
    return f"{how} after {seconds:.1f} s, {trial.lost} lost ticks"

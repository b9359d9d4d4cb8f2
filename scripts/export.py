"""Export a policy as one graph."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scripts.options import RESULTS
from scripts.progress import progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from benchmarks.parity import Parity
    from benchmarks.timing import Timing
    from policies.export import Exported

EXAMPLES = """
armtrials export --policy runs/act
armtrials export --policy runs/diffusion --ddim-steps 4 --out runs/diffusion-4.onnx
armtrials export --policy runs/act --precision int8 --trials 200
armtrials export --policy runs/act --format torchscript --trials 0
armtrials export --policy runs/act --data data/pick_place --threads 1 2 4
armtrials evaluate --policy runs/act-onnx
"""


@dataclass(frozen=True)
class Export:
    """Write a policy as one graph, with its scaling and its denoising loop, and compare the two.

    The folder is a checkpoint like any other: evaluate, sweep, serve and gate take it. Compared are
    actions on stored observations, success from the same starts of the dev split, and latency.
    Interrupted, it keeps every completed wave of trials; the same command continues.
    """

    policy: Path
    """Checkpoint folder."""
    format: Literal["onnx", "torchscript"] = "onnx"
    """Of the graph; ONNX needs `pip install 'armtrials[onnx]'`."""
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    """Of an ONNX graph: fp16 halves it, int8 quantises the weights."""
    out: Path | None = None
    """Folder to write; default: the checkpoint's name with the format and precision after it."""
    ddim_steps: int | None = None
    """Denoising steps of a diffusion policy or of flow; default: as the checkpoint says."""
    sampler: Literal["ddim", "dpm"] | None = None
    """How a diffusion policy denoises; default: as the checkpoint says."""
    trials: int = 50
    """Paired trials, at least 50; 0: none, and no word on what the export costs in success."""
    protocol: str | None = None
    """Protocol of the trials; default: the first version of the policy's task."""
    timed: int = 200
    """Predictions to time of each."""
    threads: tuple[int, ...] = (1,)
    """Threads of a prediction; several numbers are timed one after the other."""
    data: Path | None = None
    """Demonstrations: actions are compared on 1000 of their observations, too."""
    task: str | None = None
    """Of a policy that learned several tasks: the one that the graph is for."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes for the trials (default: one a core)."""
    batch: int = 50
    """Trials stepped together."""
    results: Path = RESULTS
    """Folder that takes the runs."""

    def run(self) -> int:
        """Export, compare, say what came out; return 0."""
        from rich.console import Console

        from benchmarks.timing import compare
        from envs.errors import UsageError
        from policies.export import ExportConfig, export
        from policies.exported import GraphForm

        if self.timed < 1 or not self.threads or min(self.threads) < 1:
            counts = " ".join(map(str, self.threads))
            raise UsageError(f"--timed and --threads must be 1 or more, got {self.timed}, {counts}")
        if 0 < self.trials < 50 or self.trials < 0:
            raise UsageError(f"--trials must be 0 (none) or at least 50, got {self.trials}")
        console = Console(highlight=False, soft_wrap=True)
        form = GraphForm(self.format, self.precision)
        out = self.out or self.policy.with_name(self.policy.name + form.suffix)
        done = export(
            ExportConfig(
                self.policy, out, form, self.ddim_steps, self.sampler, self.task, self.data
            ),
            lambda text: console.print(text, markup=False),
        )
        console.print(f"{out}: {done.size / 1e6:.1f} MB", markup=False)
        console.print(f"stored observations: an action differs by at most {done.error:.2g}")
        if done.recorded is not None:
            told = f"{done.observations} observations of {self.data}"
            console.print(f"{told}: an action differs by at most {done.recorded:.2g}", markup=False)
        parity = self._parity(out) if self.trials else None
        if parity is not None:
            console.print(f"success: {parity}", markup=False)
        timings = {n: compare([self.policy, out], self.timed, n) for n in self.threads}
        self._say(console, timings)
        self._write(out, done, parity, timings)
        return 0

    def _parity(self, out: Path) -> "Parity":
        from benchmarks.parity import plan_parity, run_parity
        from benchmarks.run import EvaluateConfig, workers_of
        from policies.checkpoint import load_checkpoint

        task = self.task or load_checkpoint(self.policy).spec.task
        protocol = self.protocol or f"{task}/v1"
        base = EvaluateConfig("", protocol, results=self.results, batch=self.batch)
        jobs = plan_parity((self.policy, out), base, self.trials)
        title = f"paired trials on {protocol}"
        with workers_of(self.workers) as pool, progress(title, 2 * self.trials) as bar:
            return run_parity(jobs, pool, bar)

    def _say(self, console: "Console", timings: "Mapping[int, list[Timing]]") -> None:
        """Print latency, cold start and memory of the checkpoint and of the graph."""
        from rich.markup import escape
        from rich.table import Table

        columns = ("", "threads", "p50 [ms]", "p95", "p99", "max", "cold [s]", "MB", "strides")
        table = Table(*map(escape, columns), "faster", box=None)
        for threads, pair in timings.items():
            for name, t in zip(("PyTorch", self.format), pair, strict=True):
                times = (f"{v:.2f}" for v in (t.p50_ms, t.p95_ms, t.p99_ms, t.max_ms))
                strides = f"{t.smallest_stride} to {t.largest_stride}"
                ratio = "" if t is pair[0] else f"{pair[0].p50_ms / t.p50_ms:.2f}"
                table.add_row(
                    name, f"{threads}", *times, f"{t.cold_start_s:.2f}", f"{t.memory_mb:.0f}",
                    "none" if t.largest_stride is None else strides, ratio,
                )  # fmt: skip
        console.print(table)
        t = next(iter(timings.values()))[1]
        console.print(
            f"control period {t.period_ms:.0f} ms, between two predictions {t.budget_ms:.0f} ms; "
            "strides: actions of a chunk that may be executed so that the next is there in time; "
            "timed by turns, faster: ratio of the medians"
        )

    @staticmethod
    def _write(
        out: Path,
        done: "Exported",
        parity: "Parity | None",
        timings: "Mapping[int, list[Timing]]",
    ) -> None:
        """Write ``export.json`` beside the graph: what was compared."""
        from envs.atomic import write_atomic

        recorded = {"observations": done.observations, "largest_difference": done.recorded}
        told = {
            "largest_difference": done.error,
            "recorded": None if done.recorded is None else recorded,
            "parity": None if parity is None else parity.to_json(),
            "timing": [
                {"threads": n, "network": pair[0].to_json(), "graph": pair[1].to_json()}
                for n, pair in timings.items()
            ],
        }
        write_atomic(out / "export.json", (json.dumps(told, indent=1) + "\n").encode())

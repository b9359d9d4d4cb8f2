"""The turn of the wheel, stage by stage; what a stage has made is not made again.

Every stage reads what the ones before have written into the folder, and writes a file of its own
last: a turn that was interrupted goes on where it was.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiment_run import Bar
from benchmarks.flywheel.assemble import DEMONSTRATION, old_lines, taken, taught
from benchmarks.flywheel.ledger import read_ledger, verify, write_ledger
from benchmarks.flywheel.log import Entry, read_entries, source_of, usual_closings
from benchmarks.flywheel.wheel import Wheel, config_of
from benchmarks.gate.verdict import artefact_hash
from benchmarks.parity import Parity, plan_parity, run_parity
from benchmarks.propose import propose
from benchmarks.run import EvaluateConfig, workers_of
from benchmarks.trial import cameras_of
from envs.arm import InitialCondition
from envs.atomic import write_atomic
from envs.collect import collect
from envs.collection import Collection
from envs.disk import full_disk_told
from envs.episode import episode_files, inspect_file
from envs.errors import UsageError
from envs.lock import locked
from envs.robots import ROBOTS
from envs.starts_file import read_starts, write_starts
from envs.tasks import TASKS
from policies.base import PolicySpec
from policies.checkpoint import load_network
from policies.checkpoint_files import read_json
from policies.train import train

STAGES = ("select", "propose", "demonstrate", "assemble", "train", "compare")
CONTROL = "control"
"""A stage for who wants to know what training on would have done without new data."""
NEXT = "next.json"


@dataclass
class Turn:
    """One turn of the wheel.

    Attributes:
        wheel: what it is made of.
        bar: shows progress.
        say: told a sentence by every stage.
        workers: processes for demonstrations and trials.
    """

    wheel: Wheel
    bar: Bar
    say: Callable[[str], None] = lambda text: None
    workers: int = 1
    _entries: list[Entry] = field(default_factory=list)

    def run(self, stages: tuple[str, ...] = STAGES) -> None:
        """Run stages in their order; those that are done are not run again.

        Raises:
            UsageError: the folder holds another turn, a stage before is missing, or from the
                stages themselves; what was completed is kept.
        """
        out = self.wheel.out
        kept = f"what was completed is kept in {out}"
        with (
            locked(out, "another flywheel turns in it"),
            full_disk_told("the flywheel", lambda: kept),
        ):
            self._claim()
            for name in (one for one in (*STAGES, CONTROL) if one in stages):
                told = self.read(name)
                if told is None:
                    told = getattr(self, f"_{name}")()
                    write_atomic(self._file(name), _plain(told))
                    self.say(str(told["said"]))
                else:
                    self.say(f"{told['said']} (done before)")

    def read(self, stage: str) -> dict[str, Any] | None:
        """Return what a stage has found, None where it has not run."""
        path = self._file(stage)
        return read_json(path.read_bytes(), path) if path.is_file() else None

    def _need(self, stage: str) -> dict[str, Any]:
        told = self.read(stage)
        if told is None:
            raise UsageError(f"{self.wheel.out}: run the stage {stage} first")
        return told

    def _file(self, stage: str) -> Path:
        return self.wheel.out / "stages" / f"{stage}.json"

    def _claim(self) -> None:
        """Refuse the folder of another turn."""
        mine, path = self.wheel.identity(), self.wheel.out / "flywheel.json"
        if not path.exists():
            write_atomic(path, _plain(mine))
        told = read_json(path.read_bytes(), path)
        other = [key for key in mine if told.get(key) != mine[key]]
        if other:
            raise UsageError(
                f"{self.wheel.out}: was begun with another {', '.join(other)}; choose another --out"
            )

    def entries(self) -> list[Entry]:
        """Return the logged episodes, read once."""
        if not self._entries:
            self._entries = read_entries(self.wheel.logs, usual_closings(self.wheel.data))
        mine = artefact_hash(self.wheel.policy)
        for entry in self._entries:
            if entry.policy != mine:
                raise UsageError(f"{entry.path}: another policy drove, not {self.wheel.policy}")
        return self._entries

    def _select(self) -> dict[str, Any]:
        """Sort the episodes by how they ended, and choose those to learn from."""
        found = self.entries()
        outcomes = Counter(entry.outcome for entry in found).most_common()
        chosen = [entry for entry in found if entry.kind in self.wheel.use]
        alone, table = sum(e.alone for e in found), ", ".join(f"{n} {o}" for o, n in outcomes)
        return {
            "said": f"select: {alone} of {len(found)} episodes succeeded without help ({table}); "
            f"{len(chosen)} to learn from",
            "episodes": len(found),
            "alone": alone,
            "outcomes": dict(outcomes),
            "chosen": [source_of(entry) | {"kind": entry.kind} for entry in chosen],
        }

    def _propose(self) -> dict[str, Any]:
        """Propose starts near those from which the policy failed, far from what it has seen."""
        wheel, spec = self.wheel, load_network(self.wheel.policy).spec
        shown = [_Began(s, True) for s in starts_of(wheel.data)]
        tried = [_Began(e.start, e.alone) for e in self.entries()]
        arm, rng = ROBOTS[spec.arm].spec(), np.random.default_rng(wheel.seed)
        starts = propose(TASKS[self.task], arm, tried, shown, wheel.count, rng)
        if starts:
            write_starts(wheel.out / NEXT, self.task, spec.arm, starts)
        failed = sum(not one.success for one in tried)
        return {
            "said": f"propose: {len(starts)} starts near the {failed} from which it needed help "
            "or failed",
            "starts": len(starts),
            "failed": failed,
        }

    @property
    def task(self) -> str:
        """Name of the task that the log is of."""
        return inspect_file(self.entries()[0].path).meta.task

    def _demonstrate(self) -> dict[str, Any]:
        """Have the proposed starts demonstrated."""
        wheel, count = self.wheel, self._need("propose")["starts"]
        if not count:
            return {"said": "demonstrate: nothing was proposed", "folder": "", "episodes": 0}
        if wheel.demonstrations is not None:
            given = len(episode_files(wheel.demonstrations))
            said = f"demonstrate: {given} demonstrations of {wheel.demonstrations}"
            return {"said": said, "folder": str(wheel.demonstrations), "episodes": given}
        if not all(entry.sim for entry in self.entries()):
            raise UsageError(
                "the log is of a real arm: record demonstrations from the proposed starts "
                f"(armtrials record --starts {wheel.out / NEXT}), then run this again with "
                "--demonstrations"
            )
        spec: PolicySpec = load_network(wheel.policy).spec
        starts = read_starts(wheel.out / NEXT, self.task, spec.arm)
        made = Collection(self.task, spec.arm, cameras=cameras_of(spec), starts=starts)
        folder = wheel.out / "demonstrations"
        with self.bar("demonstrations", count) as advance:
            done = collect(made, count, folder, self.workers, advance)
        return {
            "said": f"demonstrate: {done.episodes} demonstrations by the scripted expert",
            "folder": str(folder),
            "episodes": done.episodes,
        }

    def _assemble(self) -> dict[str, Any]:
        """Put old data, lessons of the log and demonstrations into one folder, with a ledger.

        Raises:
            UsageError: there are neither lessons nor demonstrations.
        """
        wheel, new = self.wheel, self._need("demonstrate")["folder"]
        chosen = {one["fingerprint"] for one in self._need("select")["chosen"]}
        if not chosen and not new:
            raise UsageError(
                "there is nothing new to learn: the policy neither failed nor was helped; log more "
                "episodes, harder ones (--gap hard), or give --use success; in another --out"
            )
        wheel.dataset.mkdir(parents=True, exist_ok=True)
        lines = old_lines(wheel.data, wheel.dataset)
        for entry in self.entries():
            if entry.fingerprint in chosen:
                lines.append(taught(entry, wheel.dataset, len(lines)))
        for path in episode_files(Path(new)) if new else ():
            source = {"folder": str(new), "file": path.name, "starts": str(wheel.out / NEXT)}
            lines.append(taken(path, wheel.dataset, len(lines), (DEMONSTRATION, source)))
        head = write_ledger(wheel.dataset, lines)
        kinds = dict(Counter(line.kind for line in lines))
        table = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        return {
            "said": f"assemble: {len(lines)} episodes in {wheel.dataset} ({table})",
            "kinds": kinds,
            "head": head,
        }

    def _train(self) -> dict[str, Any]:
        """Learn from all of it, on from the policy's weights or from scratch."""
        wheel = self.wheel
        told = self._need("assemble")
        verify(wheel.dataset)
        if read_ledger(wheel.dataset)[1] != told["head"]:
            raise UsageError(f"{wheel.dataset}: another turn's data, or its ledger was changed")
        steps, how = self._learn(wheel.dataset, wheel.made)
        return {
            "said": f"train: {wheel.made}, {how}",
            "steps": steps,
            "policy": artefact_hash(wheel.made),
        }

    def _learn(self, data: Path, out: Path) -> tuple[int, str]:
        """Train as the turn asks for; return how many steps, and that in words."""
        config = config_of(self.wheel, data, out)
        steps = config.resolve().training.steps
        with self.bar(f"train {config.algo}", steps) as advance:
            train(config, advance, self.say)
        how = "from scratch" if self.wheel.fresh else "on from its weights"
        return steps, f"{steps} steps {how}"

    def _compare(self) -> dict[str, Any]:
        """Try both policies from the same starts of the dev split."""
        self._need("train")
        found, told = self._paired(self.wheel.policy)
        return {"said": f"compare: {found}: the new policy is {told['verdict']}", **told}

    def _control(self) -> dict[str, Any]:
        """Train as long on the old data alone; compare the new policy with what comes of that."""
        wheel = self.wheel
        self._need("train")
        steps, how = self._learn(wheel.data, wheel.control)
        found, told = self._paired(wheel.control)
        return {
            "said": f"control: on the old data alone, {how}; {found}: "
            f"the new policy is {told['verdict']}",
            "steps": steps,
            **told,
        }

    def _paired(self, before: Path) -> tuple[Parity, dict[str, Any]]:
        """Try the new policy and ``before`` from the same starts; return what came of it."""
        wheel, protocol = self.wheel, f"{self.task}/v1"
        base = EvaluateConfig("", protocol, results=wheel.results)
        jobs = plan_parity((before, wheel.made), base, wheel.trials)
        with (
            workers_of(self.workers) as pool,
            self.bar(f"paired trials on {protocol}", 2 * wheel.trials) as advance,
        ):
            found = run_parity(jobs, pool, advance)
        verdict = "better" if found.low > 0 else "worse" if found.high < 0 else "not told apart"
        return found, {"verdict": verdict, "protocol": protocol, **found.to_json()}


@dataclass(frozen=True)
class _Began:
    start: InitialCondition | None
    success: bool


def starts_of(data: Path) -> list[InitialCondition]:
    """Return where the demonstrations of a folder began, as far as they say."""
    found = [inspect_file(path).meta.start for path in episode_files(data)]
    return [start for start in found if start is not None]


def _plain(told: Mapping[str, Any]) -> bytes:
    return (json.dumps(told, indent=1) + "\n").encode()

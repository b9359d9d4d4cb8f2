"""Run a sample of a sealed run's trials again and compare the records byte for byte.

A wave of trials is stepped together, and batched arithmetic depends on who is in the batch, so
whole waves are run. What may differ is left out: latency (``VOLATILE``), and which trials were
filmed. A verification is kept beside the seal (`benchmarks.verified`); with it a row of the
leaderboard counts as reproduced.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lines import Record, canonical
from benchmarks.manifest import SEALED_BY, cpu_name, policy_entry, versions
from benchmarks.protocol import FOREIGN, PROTOCOLS, Plan, Wave, state_of
from benchmarks.records import SEAL, VOLATILE, Run, read_run, verify_run
from benchmarks.run import EvaluateConfig, execution_of, load
from benchmarks.trajectories import trajectory
from benchmarks.trial import Runner, replay
from envs.errors import UsageError
from envs.tasks import TASKS
from envs.world import world

LEFT_OUT = (*VOLATILE, "video")
"""Fields of a record that are not compared."""


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        run: name of the run.
        problems: what is wrong with its files; nothing was run then.
        elsewhere: what it was sealed with and is otherwise here, ``mujoco 3.16.0, here 3.17.0``.
        how: ``policy`` (trials were run again), ``commands`` (the stored commands were) or
            ``seals`` (neither could be).
        trials: how many were run again.
        differ: those with another outcome, each with the fields.
    """

    run: str
    problems: tuple[str, ...]
    elsewhere: tuple[str, ...]
    how: str
    trials: int
    differ: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether everything that was looked at is as recorded."""
        return not self.problems and not self.differ

    @property
    def reproduced(self) -> bool:
        """Whether its policy did the same again."""
        return self.good and self.how == "policy" and self.trials > 0

    def note(self) -> dict[str, Any]:
        """Return what ``verified.keep`` writes down."""
        told = {"trials": self.trials, "elsewhere": list(self.elsewhere)}
        return {**told, "machine": cpu_name(), "verified_by": SEALED_BY}


def verify(
    folder: Path,
    policy: str | None = None,
    trials: int = 50,
    seed: int = 0,
    progress: Callable[[int], None] = lambda n: None,
) -> Verification:
    """Check a sealed run: its files, then a sample of its trials.

    Args:
        folder: the run folder.
        policy: what it was made with (checkpoint folder, ``floor:<kind>``, ``remote:<address>``);
            None: the stored commands are run, where they were kept.
        trials: at least so many, in whole waves.
        seed: draws the waves.
        progress: called with a number of trials that are done.

    Raises:
        UsageError: no run folder, another policy, or a protocol that is not the one known here.
    """
    run = read_run_or_none(folder)
    problems = tuple(verify_run(folder))
    if problems or run is None:
        return Verification(Path(folder).name, problems, (), "seals", 0, ())
    name, elsewhere = str(run.manifest["run"]), sealed_elsewhere(run.manifest)
    if policy is None:
        how, count, differ = _by_commands(run, trials, seed, progress)
    else:
        how, (count, differ) = "policy", _by_policy(run, policy, trials, seed, progress)
    return Verification(name, (), elsewhere, how, count, differ)


def read_run_or_none(folder: Path) -> Run | None:
    """Return the run in ``folder``; None where its records cannot be read.

    Raises:
        UsageError: it is no run folder.
    """
    try:
        return read_run(folder)
    except UsageError:
        if (Path(folder) / SEAL).is_file():
            return None
        raise


def sealed_elsewhere(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the versions, and the model's hash, in which a run differs from what is here."""
    before, now = manifest["versions"], versions(manifest["track"] == "pixels")
    told = [
        f"{name} {before[name]}, here {now.get(name, 'none')}"
        for name in sorted(before)
        if before[name] != now.get(name)
    ]
    if manifest["task"] in TASKS and manifest.get("model_hash"):
        here = world(TASKS[manifest["task"]], manifest["robot"]).model_hash
        if here != manifest["model_hash"]:
            told.append(f"model {str(manifest['model_hash'])[:12]}, here {here[:12]}")
    return tuple(told)


def sample(plan: Plan, batch: int, trials: int, seed: int) -> list[Wave]:
    """Draw waves, a nominal one first, until they hold ``trials`` trials; in the plan's order."""
    waves = plan.waves(batch)
    order = [int(i) for i in np.random.default_rng(seed).permutation(len(waves))]
    nominal = next((i for i in order if waves[i].condition == plan.cells[0][0]), order[0])
    chosen: list[int] = []
    for i in [nominal, *(i for i in order if i != nominal)]:
        if sum(waves[j].count for j in chosen) >= trials:
            break
        chosen.append(i)
    return [waves[i] for i in sorted(chosen)]


def config_of(manifest: Mapping[str, Any], policy: str) -> EvaluateConfig:
    """Return the evaluation that made a run, with its policy at ``policy``."""
    execution = manifest["execution"]
    return EvaluateConfig(
        policy=policy,
        protocol=manifest["protocol"]["id"],
        name=manifest["policy"]["name"],
        split=manifest["plan"]["split"],
        execute=execution["execute"],
        ensemble=execution["ensemble"],
        delay=execution.get("delay", 0),
        ddim_steps=execution.get("ddim_steps"),
        sampler=execution.get("sampler"),
        batch=execution["batch"],
        videos="none",
        track=manifest["track"],
    )


def _by_policy(
    run: Run, source: str, trials: int, seed: int, progress: Callable[[int], None]
) -> tuple[int, tuple[str, ...]]:
    """Run waves with the policy; return how many trials, and which differ."""
    manifest = run.manifest
    _check_protocol(manifest)
    config = config_of(manifest, source)
    policy = load(config)
    _check_policy(manifest["policy"], policy_entry(source, policy, config.name))
    execution = execution_of(config, policy.spec)
    protocol = PROTOCOLS[config.protocol]
    runner = Runner(policy, config.name or "", protocol, execution, config.split)
    sealed = _by_key(run.trials)
    count, differ = 0, []
    for wave in sample(Plan.from_json(manifest["plan"]), execution.batch, trials, seed):
        result = runner.run(wave)
        if result.gone:
            raise UsageError(result.gone)
        for record in result.records:
            key = (record["key"]["condition"], record["key"]["ic"])
            differ += _differences(sealed.get(key), record, key)
        count += len(result.records)
        progress(len(result.records))
    return count, tuple(differ)


def _check_protocol(manifest: Mapping[str, Any]) -> None:
    if manifest["protocol"]["id"].startswith(FOREIGN):
        raise UsageError(
            f"{manifest['run']} was made in somebody else's environment, which may not repeat "
            "itself: without --policy its seals are checked"
        )
    if "session" in manifest:
        raise UsageError(
            f"{manifest['run']} was made on an arm, which does not repeat itself: without --policy "
            "its seals are checked"
        )
    if unknown := state_of(manifest):
        raise UsageError(f"{manifest['run']} cannot be run again: {unknown}")


def _check_policy(stated: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse a policy whose files are not those of the run."""
    before, now = stated["hashes"], found["hashes"]
    differ = [k for k in sorted({*before, *now}) if before.get(k) != now.get(k)]
    if differ:
        told = ", ".join(
            f"{k} {str(now.get(k))[:12]}, the run's {str(before.get(k))[:12]}" for k in differ
        )
        raise UsageError(f"this is not the policy of the run: {told}")


def _by_key(trials: Sequence[Record]) -> dict[tuple[str, int], Record]:
    return {(t["key"]["condition"], t["key"]["ic"]): t for t in trials if t["status"] == "valid"}


def _differences(before: Record | None, now: Record, key: tuple[str, int]) -> list[str]:
    """Say in which fields two records of a trial differ, compared as canonical bytes."""
    where = f"{key[0]}/{key[1]}"
    if before is None:
        return [f"{where} is not among the records"]
    fields = [
        name
        for name in sorted({*before, *now} - set(LEFT_OUT))
        if canonical(before.get(name)) != canonical(now.get(name))
    ]
    return [f"{where}: {', '.join(fields)}"] if fields else []


def _by_commands(
    run: Run, trials: int, seed: int, progress: Callable[[int], None]
) -> tuple[str, int, tuple[str, ...]]:
    """Run the stored commands of some trials; none were kept: only the seals count."""
    if not any((run.folder / "trajectories").glob("*.npz")):
        return "seals", 0, ()
    _check_protocol(run.manifest)
    valid = [t for t in run.trials if t["status"] == "valid"]
    order = np.random.default_rng(seed).permutation(len(valid))[:trials]
    differ = []
    for i in sorted(int(i) for i in order):
        record = valid[i]
        actions = trajectory(run.folder, record, run.manifest["execution"]["batch"])
        try:
            for _ in replay(record, actions, run.manifest["robot"]):
                pass
        except UsageError:
            differ.append(f"{record['key']['condition']}/{record['key']['ic']}: final_sha256")
        progress(1)
    return "commands", len(order), tuple(differ)

"""Trials of a sealed run in the forms that other tools read."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.lines import Record
from benchmarks.records import Run, read_run, verify_run
from envs.errors import UsageError

COLUMNS = (
    *("blind", "world", "task", "protocol", "condition", "ic", "repeat", "status", "reason"),
    *("success", "success_any", "success_final", "stage", "progress", "failure", "tags"),
    *("steps", "duration_s", "sparc", "path_ratio", "contact_peak_n", "clamps"),
    *("start_seed", "policy_seed"),
)


def eval_info(folder: Path) -> tuple[bytes, str]:
    """Return a run in the layout of LeRobot's evaluator (``eval_info.json``), and what it holds.

    A condition is a task of the group that is the protocol's task. The reward is sparse, 1 for a
    success, so the sum and the maximum of an episode's rewards are its success. Times are those
    of the simulated or real arm.
    """
    run = _sealed(folder)
    tasks = []
    for i, (condition, trials) in enumerate(run.cells().items()):
        valid = [trial for trial in trials if trial["status"] == "valid"]
        metrics = {
            "sum_rewards": [float(t["success"]) for t in valid],
            "max_rewards": [float(t["success"]) for t in valid],
            "successes": [bool(t["success"]) for t in valid],
            "video_paths": [t["video"] for t in valid if t["video"]],
        }
        episodes = [_episode(k, t) for k, t in enumerate(valid)]
        told = {"condition": condition, "per_episode": episodes, "aggregated": _mean(valid)}
        task = {"task_group": run.manifest["task"], "task_id": i, "metrics": metrics}
        tasks.append({**task, **told})
    every = [t for t in run.trials if t["status"] == "valid"]
    overall = {**_mean(every), "video_paths": [t["video"] for t in every if t["video"]]}
    data = {
        "per_task": tasks,
        "per_group": {run.manifest["task"]: overall},
        "overall": overall,
        "armtrials": {
            "run": run.manifest["run"],
            "protocol": run.manifest["protocol"]["id"],
            "protocol_hash": run.manifest["protocol"]["hash"],
            "policy": run.manifest["policy"]["name"],
            "head": (run.seal or {})["head"],
        },
    }
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    return text.encode(), f"{len(every)} trials of {len(tasks)} conditions"


def _episode(number: int, trial: Record) -> dict[str, Any]:
    """Return one trial as LeRobot's evaluator writes an episode."""
    reward = float(trial["success"])
    return {
        "episode_ix": number,
        "sum_reward": reward,
        "max_reward": reward,
        "success": bool(trial["success"]),
        "seed": trial["seeds"]["ic"],
    }


def _mean(trials: Sequence[Record]) -> dict[str, Any]:
    """Return the aggregate of some trials; None where there is none (JSON has no NaN)."""
    count = len(trials)
    share = sum(bool(t["success"]) for t in trials) / count if count else None
    seconds = sum(float(t["duration_s"]) for t in trials)
    return {
        "avg_sum_reward": share,
        "avg_max_reward": share,
        "pc_success": None if share is None else 100 * share,
        "n_episodes": count,
        "eval_s": round(seconds, 6),
        "eval_ep_s": round(seconds / count, 6) if count else None,
    }


def blinded_csv(folder: Path) -> tuple[bytes, str]:
    """Return a line a trial, and what it holds; nothing in it tells the policy.

    ``blind`` is the start of the hash of the run's seal: two files of one run have the same code,
    and only who has the run can tell which policy it is.
    """
    run = _sealed(folder)
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    table.writeheader()
    code = str((run.seal or {})["sha256"])[:8]
    table.writerows(_lines(run, code))
    return buffer.getvalue().encode(), f"{len(run.trials)} trials of policy {code}"


def _lines(run: Run, code: str) -> Iterable[Mapping[str, Any]]:
    """Yield the trials as rows of ``COLUMNS``."""
    for trial in run.trials:
        key, quality = trial["key"], trial["quality"]
        row = {name: trial[name] for name in COLUMNS if name in trial}
        row |= {name: key[name] for name in ("task", "protocol", "condition", "ic", "repeat")}
        row |= {name: quality.get(name) for name in ("sparc", "path_ratio", "contact_peak_n")}
        row |= {"blind": code, "world": run.manifest["world"], "tags": " ".join(trial["tags"])}
        row |= {"start_seed": trial["seeds"]["ic"], "policy_seed": trial["seeds"]["policy"]}
        reason = str(trial["reason"] or "")
        yield {**row, "reason": reason.replace(str(key["policy"]), "policy")}


def _sealed(folder: Path) -> Run:
    """Return the run; refuse one that is not as it was sealed."""
    run = read_run(folder)
    if problems := verify_run(folder):
        raise UsageError(f"{folder} cannot be exported: {'; '.join(problems[:3])}")
    return run


EXPORTS: Mapping[str, Callable[[Path], tuple[bytes, str]]] = {
    "eval_info": eval_info,
    "csv": blinded_csv,
}
"""How trials are written, by name."""

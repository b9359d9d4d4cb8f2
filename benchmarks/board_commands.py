"""The commands that make a row again, written from its manifests."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.protocol import BATCH, FOREIGN, PROTOCOLS, TEST, Plan, make_plan

Manifest = Mapping[str, Any]

DAGGER = "dagger"
RESULTS = "evaluations"
"""Where the runs go, a folder for each row; git ignores it."""


def reproduce(manifests: Sequence[Manifest]) -> str:
    """Return shell lines: the commit, demonstrations, training and evaluation of every seed.

    The runs go to a results folder of their own, where they cannot mix with others. A row whose
    seeds come from several commits says so, and each of them is checked out. Settings given beside
    preset and steps are not in the lines; the configuration's hash tells whether there were any.
    """
    first = manifests[0]
    results = word(f"{RESULTS}/{first['run']}")
    commit = first["code"].get("commit")
    lines = _several_commits(manifests) + _checkout(commit)
    data = "data/" + word(first["task"]) + ("_pixels" if first["track"] == "pixels" else "")
    episodes = first["policy"]["data"].get("episodes")
    if episodes and not _foreign(first) and not _asked(first):
        pixels = " --pixels" if first["track"] == "pixels" else ""
        task = word(first["task"])
        lines.append(f"armtrials collect --task {task} --episodes {episodes}{pixels} --out {data}")
    for manifest in manifests:
        if manifest["code"].get("commit") != commit:
            commit = manifest["code"].get("commit")
            lines += _checkout(commit)
        lines += _policy_lines(manifest, data, f"{_options(manifest)} --results {results}")
    return "\n".join([*lines, f"armtrials leaderboard --results {results}"])


def again(manifest: Manifest, condition: str, policy: str) -> str:
    """Return the command that tries ``policy`` as a run did, in one of its conditions."""
    cells = [cell for cell in manifest["plan"]["cells"] if cell[0] == condition]
    one = {**manifest, "plan": {**manifest["plan"], "cells": cells}}
    split = "" if manifest["plan"]["split"] == TEST else f" --split {manifest['plan']['split']}"
    return f"armtrials evaluate --policy {policy}{_options(one)}{split}"


def _checkout(commit: str | None) -> list[str]:
    return [f"git checkout {word(commit)}"] if commit else ["# at a commit that is not known:"]


def _several_commits(manifests: Sequence[Manifest]) -> list[str]:
    """Return a comment that says which seed is from which commit, where there are several."""
    seeds: dict[str, list[str]] = {}
    for manifest in manifests:
        commit = str(manifest["code"].get("commit") or "unknown")[:10]
        seeds.setdefault(commit, []).append(str(manifest["policy"].get("seed")))
    if len(seeds) == 1:
        return []
    told = "; ".join(f"{commit}: seed {', '.join(found)}" for commit, found in seeds.items())
    return [f"# the seeds of this row come from {len(seeds)} commits ({' '.join(told.split())})"]


def _policy_lines(manifest: Manifest, data: str, options: str) -> list[str]:
    """Return training (if it was trained) and evaluation, with ``options``, of one run."""
    policy = manifest["policy"]
    name, algorithm = word(policy["name"]), word(policy["algorithm"])
    if policy.get("floor") and not policy["training"]:
        source = f"floor:{algorithm}" + (f":{data}" if policy["data"] else "")
        track = "" if manifest["track"] == "state" else f" --track {word(manifest['track'])}"
        return [f"armtrials evaluate --policy {source}{track}{options}"]
    if _asked(manifest):
        return _asked_lines(manifest, options)
    out = word(f"runs/{policy['name']}-s{policy.get('seed')}")
    train = f"armtrials train --algo {algorithm} --preset {word(policy.get('preset'))}"
    train += f" --track {word(manifest['track'])} --seed {word(policy.get('seed'))}"
    train += " --blind" if policy.get("floor") else ""
    train += f" --steps {word(policy['training'].get('steps'))}" if policy["training"] else ""
    named = "" if name == algorithm else f" --name {name}"
    lines = [f"{train} --data {data} --out {out}"]
    if policy.get("remote"):
        source = "remote:ws://localhost:8765"
        told = f"{policy['name']} with weights {policy['hashes'].get('weights')}"
        lines = (
            [*lines, f"armtrials serve --policy {out} &"]
            if policy["training"]
            else [f"# serve {' '.join(told.split())} (docs/serving.md)"]
        )
        return [*lines, f"armtrials evaluate --policy {source}{named}{options}"]
    return [*lines, f"armtrials evaluate --policy {out}{named}{options}"]


def _asked(manifest: Manifest) -> bool:
    """Tell whether a policy is what came of the rounds of ``armtrials dagger``."""
    return bool(manifest["policy"]["name"] == DAGGER)


def _asked_lines(manifest: Manifest, options: str) -> list[str]:
    """Return the rounds of DAgger and the evaluation of the last; its seed is its number."""
    policy = manifest["policy"]
    last, out = int(policy["seed"]), word(f"runs/{DAGGER}-{manifest['task']}")
    made = f"armtrials dagger --task {word(manifest['task'])} --algo {word(policy['algorithm'])}"
    made += f" --preset {word(policy.get('preset'))} --steps {word(policy['training']['steps'])}"
    return [
        "# with the --labels and --episodes of docs/dagger-gail.md, which no manifest has:",
        f"{made} --rounds {last} --out {out}",
        f"armtrials evaluate --policy {out}/rounds/{last:02d} --name {DAGGER}{options}",
    ]


def _options(manifest: Manifest) -> str:
    """Return the options of an evaluation that differ from their defaults."""
    execution, protocol = manifest["execution"], manifest["protocol"]["id"]
    text = f" --protocol {word(protocol)}{_plan_options(manifest)}"
    if _foreign(manifest):
        definition = manifest["protocol"]["definition"]
        text = f" --env {word(definition['env'])} --success {word(definition['success'])}"
        text += f" --horizon {word(definition['horizon'])}"
        text += f" --trials {sum(count for _, count in Plan.from_json(manifest['plan']).cells)}"
    if execution.get("execute") is not None:
        text += f" --execute {word(execution['execute'])}"
    if execution.get("ensemble") is not None:
        text += f" --ensemble {word(execution['ensemble'])}"
    if execution.get("delay"):
        text += f" --delay {word(execution['delay'])}"
    if execution.get("ddim_steps") is not None:
        text += f" --ddim-steps {word(execution['ddim_steps'])}"
    if execution.get("sampler") is not None:
        text += f" --sampler {word(execution['sampler'])}"
    if execution.get("batch") not in (None, BATCH):
        text += f" --batch {word(execution['batch'])}"
    return text


def _foreign(manifest: Manifest) -> bool:
    """Tell whether a run was made in somebody else's environment."""
    return str(manifest["protocol"]["id"]).startswith(FOREIGN)


def _plan_options(manifest: Manifest) -> str:
    """Return ``--trials`` and ``--conditions`` where the run covers less than the protocol."""
    if manifest["protocol"]["id"] not in PROTOCOLS:
        return ""
    protocol, plan = PROTOCOLS[manifest["protocol"]["id"]], Plan.from_json(manifest["plan"])
    try:
        full = make_plan(protocol, manifest["track"])
    except ValueError:  # a track that this version does not know
        return ""
    text = ""
    sizes = dict(full.cells)
    if any(count != sizes.get(name) for name, count in plan.cells):
        text += f" --trials {max((count for _, count in plan.cells), default=0)}"
    names = [name for name, _ in plan.cells]
    if names != [name for name, _ in full.cells]:
        text += " --conditions " + " ".join(word(name) for name in names)
    return text


def word(value: object) -> str:
    """Return a value from a record as one word of a shell command."""
    return shlex.quote(str(value))

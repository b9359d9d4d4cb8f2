"""Trials of a sealed run, run again; every edit, another version and another policy told."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import board_of
from made_checkpoint import config, make_checkpoint

from benchmarks import manifest as manifests
from benchmarks.lines import chain, digest, parse
from benchmarks.packing import pack
from benchmarks.protocol import Plan
from benchmarks.records import (
    MANIFEST,
    PACKED,
    SEAL,
    manifest_bytes,
    read_run,
    seal_bytes,
    starts_path,
    trial_bytes,
    verify_run,
)
from benchmarks.run import evaluate
from benchmarks.verified import VERIFIED, keep, reproduced
from benchmarks.verify import sample, verify
from envs.errors import UsageError


def unlinked(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k != "prev"} for record in records]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """Return a sealed run of four nominal and four perturbed trials."""
    return evaluate(config(checkpoint, tmp_path_factory.mktemp("verify"))).folder


@pytest.fixture
def own(sealed: Path, tmp_path: Path) -> Path:
    """Return a copy of it that a test may spoil."""
    shutil.copytree(sealed.parent, tmp_path / "runs" / sealed.parent.name)
    return tmp_path / "runs" / sealed.parent.name / sealed.name


def reseal(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit the manifest and make every hash anew, as somebody who cheats with care would."""
    manifest, lines = parse((folder / MANIFEST).read_bytes()), trial_bytes(folder)
    change(manifest)
    data = manifest_bytes(manifest)
    records = [parse(line) for line in lines.splitlines()]
    again, head = chain(unlinked(records), digest(data))
    packed = pack(b"".join(again))
    seal = parse((folder / SEAL).read_bytes())
    starts = digest(packed.starts)
    (folder / MANIFEST).write_bytes(data)
    (folder / PACKED).write_bytes(packed.trials)
    starts_path(folder, starts).write_bytes(packed.starts)
    files = {**seal["files"], MANIFEST: digest(data), PACKED: digest(packed.trials)}
    (folder / SEAL).write_bytes(
        seal_bytes({**seal, "head": head, "files": files, "starts": starts})
    )


def test_the_policy_does_the_same_again_byte_for_byte(sealed: Path, checkpoint: Path) -> None:
    found = verify(sealed, str(checkpoint), trials=8)
    assert found.reproduced
    assert (found.how, found.trials, found.differ, found.elsewhere) == ("policy", 8, (), ())


def test_the_stored_commands_lead_to_the_recorded_ends(sealed: Path) -> None:
    found = verify(sealed, trials=3)
    assert found.good
    assert not found.reproduced
    assert (found.how, found.trials) == ("commands", 3)


def test_without_policy_and_commands_only_the_seals_are_checked(own: Path) -> None:
    shutil.rmtree(own / "trajectories")
    found = verify(own)
    assert found.good
    assert (found.how, found.trials) == ("seals", 0)


def test_a_record_that_was_made_up_with_every_hash_right_is_found(
    own: Path, checkpoint: Path
) -> None:
    lines = [parse(line) for line in trial_bytes(own).splitlines()]
    lines[1]["actions_sha256"] = "0" * 64
    again, _ = chain(unlinked(lines), digest((own / MANIFEST).read_bytes()))
    (own / PACKED).write_bytes(pack(b"".join(again)).trials)
    reseal(own, lambda manifest: None)
    assert verify_run(own) == []
    found = verify(own, str(checkpoint), trials=8)
    assert found.differ == ("nominal/1: actions_sha256",)
    assert not found.good


def test_another_policy_is_refused_by_its_hashes(sealed: Path, tmp_path: Path) -> None:
    other = make_checkpoint(tmp_path / "other", seed=1)
    with pytest.raises(UsageError, match=r"not the policy of the run: weights [0-9a-f]{12}, the"):
        verify(sealed, str(other))
    with pytest.raises(UsageError, match="not the policy of the run"):
        verify(sealed, "floor:hold")


def test_a_run_sealed_with_another_mujoco_says_so(own: Path, checkpoint: Path) -> None:
    reseal(own, lambda m: m["versions"].update(mujoco="3.1.0"))
    found = verify(own, str(checkpoint), trials=1)
    here = manifests.versions(False)["mujoco"]
    assert found.elsewhere == (f"mujoco 3.1.0, here {here}",)
    assert found.good


def test_a_run_of_another_protocol_is_not_run_again(own: Path, checkpoint: Path) -> None:
    reseal(own, lambda m: m["protocol"].update(hash="0" * 64))
    with pytest.raises(UsageError, match="its protocol's definition does not have the hash"):
        verify(own, str(checkpoint))


def test_every_one_of_a_thousand_edits_of_one_byte_is_detected(own: Path) -> None:
    seal = parse((own / SEAL).read_bytes())
    trajectory = next((own / "trajectories").glob("*.npz"))
    paths = [own / MANIFEST, own / PACKED, own / SEAL, starts_path(own, seal["starts"]), trajectory]
    wholes = [path.read_bytes() for path in paths]
    definition = wholes[0].index(b'"definition"')
    rng = np.random.default_rng(0)
    missed = []
    for i in range(1000):
        path, whole = paths[i % len(paths)], wholes[i % len(paths)]
        first = definition if i % 10 == 0 else 0  # the protocol within the manifest
        position = int(rng.integers(first, len(whole)))
        byte = (whole[position] + int(rng.integers(1, 256))) % 256
        path.write_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
        if not verify_run(own):
            missed.append((path.name, position))
        path.write_bytes(whole)
    assert missed == []
    assert verify_run(own) == []


def test_an_edited_run_is_not_run_again(own: Path, checkpoint: Path) -> None:
    (own / MANIFEST).write_bytes((own / MANIFEST).read_bytes().replace(b'"act', b'"axt', 1) + b" ")
    found = verify(own, str(checkpoint))
    assert found.problems
    assert not found.good
    assert found.trials == 0


def test_a_verification_makes_the_row_reproduced_until_anything_changes(
    own: Path, checkpoint: Path
) -> None:
    results = own.parents[2]
    (table,) = board_of(results)["tables"]
    assert table["rows"][0]["reproduced"] == 0
    keep(own, verify(own, str(checkpoint), trials=4).note())
    assert verify_run(own) == []
    assert reproduced(own) >= 4
    (table,) = board_of(results)["tables"]
    assert table["rows"][0]["reproduced"] >= 4
    data = (own / VERIFIED).read_bytes()
    (own / VERIFIED).write_bytes(data.replace(b'"trials": ', b'"trials": 9', 1))
    assert reproduced(own) == 0
    (own / VERIFIED).write_bytes(data)
    reseal(own, lambda m: m["versions"].update(mujoco="3.1.0"))
    assert reproduced(own) == 0


def test_whole_waves_are_drawn_a_nominal_one_among_them() -> None:
    plan = Plan("test", (("nominal", 200), ("object_pose/L2", 100), ("lighting/L1", 100)))
    drawn = [sample(plan, 50, 120, seed) for seed in range(20)]
    assert all(sum(w.count for w in waves) == 150 for waves in drawn)
    assert all(any(w.condition == "nominal" for w in waves) for waves in drawn)
    assert len({tuple(w.name for w in waves) for waves in drawn}) > 5
    assert sample(plan, 50, 10_000, 0) == plan.waves(50)


def test_a_run_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run folder"):
        verify(tmp_path)
    with pytest.raises(UsageError, match="is not a run folder"):
        read_run(tmp_path)

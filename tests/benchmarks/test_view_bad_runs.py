"""A run that is damaged in any way is a clear error of `armtrials view`, never a traceback."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_records import manifest, record, sealed

from benchmarks.lines import Record, chain, digest, parse
from benchmarks.protocol import PROTOCOLS
from benchmarks.records import MANIFEST, PACKED, SEAL, TRIALS, manifest_bytes, read_run
from benchmarks.trial import actions_digest, state_digest
from benchmarks.video import write_mp4
from benchmarks.view import show_trial
from benchmarks.writer import RunWriter
from envs.batch import SimBatch
from envs.errors import UsageError
from envs.tasks import TASKS
from scripts.main import main

STEPS = 3
ODD: tuple[Any, ...] = (None, 7, -1.5, "x", [], {}, [[]], {"x": {}})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an unsealed run of one short trial that can be shown, with a film of its own."""
    folder = tmp_path_factory.mktemp("whole") / "act-1"
    start = PROTOCOLS["pick_place/v1"].start("nominal", 0)
    sims = SimBatch(TASKS["pick_place"], size=1, threads=1)
    sims.reset([start])
    actions = np.repeat(np.array(start.qpos, np.float32)[None], STEPS, axis=0)
    for action in actions:
        sims.step(action[None])
    (folder / "trajectories").mkdir(parents=True)
    np.savez(folder / "trajectories" / "nominal_000.npz", actions=actions[None], lengths=[STEPS])
    write_mp4(folder / "videos" / "a.mp4", [np.zeros((16, 16, 3), np.uint8)] * 2, 5)
    trial = record(
        0,
        start=start.to_json(),
        steps=STEPS,
        success=False,
        failure="stuck",
        video="videos/a.mp4",
        actions_sha256=actions_digest(actions),
        final_sha256=state_digest(sims, 0),
    )
    known = manifest(robot="viperx", execution={"batch": 50}, policy={"name": "act", "seed": 0})
    with RunWriter(folder, known) as writer:
        writer.append([trial])
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / whole.name))


def rewrite(folder: Path, about: dict[str, Any], trial: Record) -> None:
    """Write another manifest and trial, chained as they should be."""
    data = manifest_bytes(about)
    (folder / MANIFEST).write_bytes(data)
    bare = {k: v for k, v in trial.items() if k != "prev"}
    (folder / TRIALS).write_bytes(chain([bare], digest(data))[0][0])


def edits(value: Any, keep: int) -> Iterator[Any]:
    """Yield ``value`` with one entry, at any depth, taken out or exchanged for an odd one."""
    if not isinstance(value, dict):
        return
    for i, (name, inner) in enumerate(value.items()):
        yield {k: v for k, v in value.items() if k != name}
        yield from ({**value, name: odd} for odd in ODD[i % keep :: keep])
        yield from ({**value, name: changed} for changed in edits(inner, keep))


def test_the_run_itself_can_be_shown(folder: Path) -> None:
    shown = show_trial(folder, "nominal/0")
    assert shown.video == (folder / "videos" / "a.mp4").read_bytes()
    assert len(shown.times) == STEPS + 1


def test_an_empty_manifest_is_one_line_and_exit_code_two(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in (b"{}", b"[]", b"7", b"null", b"", b"{", b"[" * 100_000, b"\xff\xfe"):
        (folder / MANIFEST).write_bytes(text)
        assert main(["view", str(folder), "--trial", "nominal/0"]) == 2
        told = capsys.readouterr().err
        assert "nominal/0" in told or "cannot be read" in told
        assert "Traceback" not in told


def test_wrong_types_anywhere_are_a_clear_error_or_do_not_matter(folder: Path) -> None:
    run = read_run(folder)
    about, trial = dict(run.manifest), dict(run.trials[0])
    cases = [(changed, trial) for changed in edits(about, 8)]
    cases += [(about, changed) for changed in edits(trial, 8)]
    refused = 0
    for changed_manifest, changed_trial in cases:
        rewrite(folder, changed_manifest, changed_trial)
        try:
            show_trial(folder, "nominal/0")
        except UsageError:
            refused += 1
    assert len(cases) > 80
    assert 20 < refused < len(cases)


def test_a_film_outside_the_run_is_not_shown(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"private")
    run = read_run(folder)
    rewrite(folder, run.manifest, {**run.trials[0], "video": "../secret.mp4"})
    shown = show_trial(folder, "nominal/0")
    assert shown.video is not None
    assert shown.video[4:8] == b"ftyp"


@pytest.mark.parametrize("name", [MANIFEST, PACKED, SEAL])
def test_a_missing_or_truncated_file_of_a_sealed_run_is_a_clear_error(
    tmp_path: Path, name: str
) -> None:
    folder = sealed(tmp_path / "run")
    data = (folder / name).read_bytes()
    for cut in (0, 1, len(data) // 2, len(data) - 3):
        (folder / name).write_bytes(data[:cut])
        with pytest.raises(UsageError, match="run"):
            show_trial(folder, "nominal/0")
    (folder / name).unlink()
    with pytest.raises(UsageError, match="run"):
        show_trial(folder, "nominal/0")


def test_truncated_commands_are_a_clear_error(folder: Path) -> None:
    path = folder / "trajectories" / "nominal_000.npz"
    data = path.read_bytes()
    for cut in (0, 1, 30, len(data) // 2, len(data) - 5):
        path.write_bytes(data[:cut])
        with pytest.raises(UsageError, match=r"nominal_000\.npz is broken"):
            show_trial(folder, "nominal/0")
    np.savez(path, other=np.zeros(3))
    with pytest.raises(UsageError, match=r"nominal_000\.npz is broken"):
        show_trial(folder, "nominal/0")


def test_a_torn_last_line_is_left_out(folder: Path) -> None:
    lines = (folder / TRIALS).read_bytes()
    (folder / TRIALS).write_bytes(lines + b'{"key":{')
    assert len(read_run(folder).trials) == 1
    assert parse(lines.splitlines()[0])["key"]["ic"] == 0

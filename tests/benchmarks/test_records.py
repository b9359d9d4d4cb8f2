import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_records import manifest, one_sealed_run, record, sealed

from benchmarks.lines import canonical, digest, parse
from benchmarks.records import MANIFEST, PACKED, SEAL, TRIALS, read_run, trial_bytes, verify_run
from benchmarks.writer import RunWriter
from envs.errors import UsageError

NOBODY = 65534


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Drop the rights of root for a while: they ignore file modes."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def test_a_sealed_run_reads_back_as_written_and_has_no_problem(tmp_path: Path) -> None:
    folder = sealed(tmp_path / "run")
    run = read_run(folder)
    assert verify_run(folder) == []
    assert run.sealed
    assert [t["key"]["ic"] for t in run.trials] == [0, 1, 2, 3]
    assert run.seal is not None
    assert run.seal["trials"] == 4
    assert sorted(p.name for p in folder.iterdir()) == sorted([MANIFEST, PACKED, SEAL])
    assert {k: v for k, v in run.trials[1].items() if k != "prev"} == record(1)


def test_the_chain_goes_from_the_manifest_to_the_seal(tmp_path: Path) -> None:
    folder = sealed(tmp_path / "run")
    lines = trial_bytes(folder).splitlines()
    hashes = [digest((folder / MANIFEST).read_bytes()), *map(digest, lines)]
    assert [parse(line)["prev"] for line in lines] == hashes[:-1]
    assert parse((folder / SEAL).read_bytes())["head"] == hashes[-1]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([MANIFEST, PACKED, SEAL]), st.data())
def test_every_edit_of_one_byte_is_detected(name: str, data: st.DataObject) -> None:
    folder = one_sealed_run()
    original = (folder / name).read_bytes()
    position = data.draw(st.integers(0, len(original) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda b: b != original[position]))
    edit = data.draw(st.sampled_from(["replace", "insert", "delete"]))
    middle = b"" if edit == "delete" else bytes([value])
    rest = original[position + (edit != "insert") :]
    try:
        (folder / name).write_bytes(original[:position] + middle + rest)
        assert verify_run(folder)
    finally:
        (folder / name).write_bytes(original)


def test_the_same_trial_twice_is_a_problem_even_in_an_intact_chain(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", manifest()) as writer:
        writer.append([record(0), record(1), record(0)])
        writer.seal("armtrials 0")
    assert verify_run(tmp_path / "run") == ["line 3 of the trials repeats nominal/0"]


def test_a_record_that_contradicts_itself_or_its_manifest_is_a_problem(tmp_path: Path) -> None:
    other = record(2)
    other["key"] = {**other["key"], "policy": "bc"}
    with RunWriter(tmp_path / "run", manifest()) as writer:
        writer.append([record(0, failure="dropped"), other, {"key": {}}])
        writer.seal("armtrials 0")
    problems = "\n".join(verify_run(tmp_path / "run"))
    assert "line 1 of the trials must have a failure label exactly when" in problems
    assert "line 2 of the trials is of policy 'bc', the manifest of 'act'" in problems
    assert "line 3 of the trials lacks" in problems


def test_an_unsealed_run_is_readable_and_said_to_be_unsealed(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", manifest()) as writer:
        writer.append([record(0)])
        assert len(read_run(tmp_path / "run").trials) == 1
    assert verify_run(tmp_path / "run") == ["the run is not sealed"]


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"x": float("nan")})
    with pytest.raises(ValueError, match="must not hold NaN"):
        parse(b'{"x":NaN}')
    with pytest.raises(ValueError, match="repeated"):
        parse(b'{"x":1,"x":2}')


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 3000))
def test_a_file_cut_anywhere_is_continued_to_the_same_bytes(cut: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        with RunWriter(folder, manifest()) as writer:
            writer.append([record(i) for i in range(4)])
        whole = (folder / TRIALS).read_bytes()
        (folder / TRIALS).write_bytes(whole[:cut])
        with RunWriter(folder, manifest()) as writer:
            assert len(writer.trials) == whole[:cut].count(b"\n")
            writer.append([record(i) for i in range(len(writer.trials), 4)])
        assert (folder / TRIALS).read_bytes() == whole


def test_an_edited_unfinished_run_is_refused(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", manifest()) as writer:
        writer.append([record(i) for i in range(4)])
    path = tmp_path / "run" / TRIALS
    path.write_bytes(path.read_bytes().replace(b'"steps":200', b'"steps":201', 1))
    with pytest.raises(UsageError, match="was edited"), RunWriter(tmp_path / "run", manifest()):
        pass


def test_two_writers_on_one_run_are_refused(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", manifest()) as writer:
        writer.append([record(0)])
        code = (
            "import sys, json; from pathlib import Path; from benchmarks.writer import RunWriter\n"
            "with RunWriter(Path(sys.argv[1]), json.loads(sys.argv[2])): pass\n"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "run"), json.dumps(manifest())]
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "another evaluation is writing to" in other.stderr
    with RunWriter(tmp_path / "run", manifest()) as writer:
        assert len(writer.trials) == 1


def test_a_sealed_run_takes_no_more_trials(tmp_path: Path) -> None:
    folder = sealed(tmp_path / "run")
    with pytest.raises(UsageError, match="is sealed"), RunWriter(folder, manifest()):
        pass


def test_an_unfinished_run_is_continued_though_tuples_became_lists(tmp_path: Path) -> None:
    for _ in range(2):
        with RunWriter(tmp_path / "run", manifest(plan=(("nominal", 2),))):
            pass


def test_an_unfinished_run_is_not_continued_under_other_conditions(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", manifest()) as writer:
        writer.append([record(0)])
    for change, what in (
        ({"protocol": {"id": "pick_place/v1", "hash": "11"}}, "protocol"),
        ({"versions": {"mujoco": "4.0.0"}}, r"mujoco \(3.17.0, now 4.0.0\)"),
    ):
        refused = pytest.raises(UsageError, match=f"cannot be continued, these differ: {what}")
        with refused, RunWriter(tmp_path / "run", manifest(**change)):
            pass


@pytest.mark.usefixtures("unprivileged")
def test_a_read_only_folder_is_a_clear_error() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o500)
        with (
            pytest.raises(UsageError, match="choose a writable folder with --results"),
            RunWriter(Path(name) / "run", manifest()),
        ):
            pass
        Path(name).chmod(0o700)


def test_a_file_in_the_place_of_a_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with (
        pytest.raises(UsageError, match="cannot write to"),
        RunWriter(tmp_path / "results" / "run", manifest()),
    ):
        pass


def test_a_full_disk_keeps_what_was_completed(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RunWriter(tmp_path / "run", manifest()) as writer:
        writer.append([record(0), record(1)])
        before = (tmp_path / "run" / TRIALS).read_bytes()
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 300, hard))
            with pytest.raises(UsageError, match=r"disk is full .* run the same command again"):
                writer.append([record(2), record(3)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (tmp_path / "run" / TRIALS).read_bytes() == before
    with RunWriter(tmp_path / "run", manifest()) as writer:
        writer.append([record(2), record(3)])
        writer.seal("armtrials 0")
    assert verify_run(tmp_path / "run") == []


def test_a_video_may_be_absent_but_not_exchanged(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with RunWriter(folder, manifest()) as writer:
        writer.append([record(0, video="videos/nominal_0.mp4")])
        (folder / "videos").mkdir()
        (folder / "videos" / "nominal_0.mp4").write_bytes(b"film")
        writer.seal("armtrials 0", ["videos/nominal_0.mp4"])
    (folder / "videos" / "nominal_0.mp4").write_bytes(b"Film")
    assert verify_run(folder) == ["videos/nominal_0.mp4 does not have the hash in SEALED.json"]
    (folder / "videos" / "nominal_0.mp4").unlink()
    assert verify_run(folder) == []


def test_a_folder_that_is_no_run_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a run folder: it has no manifest.json"):
        read_run(tmp_path)

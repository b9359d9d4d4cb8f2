import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.episode import Episode, EpisodeMeta, fingerprint, read_episode
from envs.errors import UsageError
from envs.recorder import Recorder, journal_of, read_steps, recover
from tests.envs.episodes import META, episode


def record(path: Path, source: Episode, finish: bool = True) -> Recorder:
    recorder = Recorder(path, EpisodeMeta(task="pick_place"))
    for t in range(len(source)):
        observation = {k: v[t] for k, v in source.observations.items()}
        recorder.append(observation, source.actions[t], float(source.timestamps[t]))
    if finish:
        recorder.finish(source.meta)
    return recorder


def test_what_is_recorded_is_the_episode(tmp_path: Path) -> None:
    record(tmp_path / "a.hdf5", episode())
    assert fingerprint(read_episode(tmp_path / "a.hdf5")) == fingerprint(episode())
    assert [p.name for p in tmp_path.iterdir()] == ["a.hdf5"]


@pytest.fixture(scope="module")
def journal_bytes(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[int]]:
    """A journal of 5 steps, and its length after each."""
    path = tmp_path_factory.mktemp("j") / "a.hdf5"
    source, ends = episode(5, images=False), []
    recorder = Recorder(path)
    for t in range(5):
        recorder.append(
            {k: v[t] for k, v in source.observations.items()}, source.actions[t], t * 0.02
        )
        ends.append(journal_of(path).stat().st_size)
    return journal_of(path).read_bytes(), ends


def test_a_journal_cut_at_any_byte_keeps_every_whole_step(
    tmp_path: Path, journal_bytes: tuple[bytes, list[int]]
) -> None:
    content, ends = journal_bytes
    journal = tmp_path / "a.hdf5.journal"
    for cut in range(len(content) + 1):
        journal.write_bytes(content[:cut])
        steps = read_steps(journal)
        assert (0 if steps is None else len(steps)) == sum(end <= cut for end in ends)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damage_never_invents_a_step(
    tmp_path_factory: pytest.TempPathFactory,
    journal_bytes: tuple[bytes, list[int]],
    data: st.DataObject,
) -> None:
    content, ends = journal_bytes
    at = data.draw(st.integers(ends[0], len(content) - 1))
    damaged = bytearray(content)
    damaged[at] ^= data.draw(st.integers(1, 255))
    journal = tmp_path_factory.mktemp("d") / "a.hdf5.journal"
    journal.write_bytes(damaged)
    steps = read_steps(journal)
    assert steps is not None
    whole = episode(5, images=False)
    assert len(steps) == sum(end <= at for end in ends)
    assert np.array_equal(steps.actions, whole.actions[: len(steps)])


KILLED = """
import sys; from pathlib import Path
from envs.recorder import Recorder
from tests.envs.episodes import episode
source, recorder = episode(), Recorder(Path(sys.argv[1]))
for t in range(100_000):
    k = t % len(source)
    recorder.append({n: v[k] for n, v in source.observations.items()}, source.actions[k], t * .02)
    print(t + 1, flush=True)
"""


def test_a_killed_recording_loses_no_acknowledged_step(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    command = [sys.executable, "-c", KILLED, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline() for _ in range(40)]
    assert recover(tmp_path) == []  # it is still being written
    process.send_signal(signal.SIGKILL)
    acknowledged += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    assert recover(tmp_path) == [path]
    saved = read_episode(path)
    assert len(saved) >= int(acknowledged[-1])
    assert (saved.meta.success, saved.meta.failure) == (False, "interrupted")
    assert recover(tmp_path) == []


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    source = episode()
    recorder = record(tmp_path / "a.hdf5", source, finish=False)
    size = journal_of(tmp_path / "a.hdf5").stat().st_size
    step = {k: v[0] for k, v in source.observations.items()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
        with pytest.raises(UsageError, match="records are safe in this file"):
            recorder.append(step, source.actions[0], 1.0)
        with pytest.raises(UsageError, match="safe in this file"):
            recorder.finish()
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4000, limits[1]))
        with pytest.raises(UsageError, match="could not be written"):
            recorder.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    recorder.finish(META)
    assert fingerprint(read_episode(tmp_path / "a.hdf5")) == fingerprint(source)
    assert [p.name for p in tmp_path.iterdir()] == ["a.hdf5"]


def test_steps_must_be_alike(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.hdf5")
    recorder.append({"qpos": np.zeros(7)}, np.zeros(7), 0.0)
    with pytest.raises(ValueError, match="every step must hold"):
        recorder.append({"qpos": np.zeros(6)}, np.zeros(7), 0.02)
    recorder.discard()
    assert not list(tmp_path.iterdir())


def test_an_empty_recording_is_no_episode(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no step was recorded"):
        Recorder(tmp_path / "a.hdf5").finish()
    (tmp_path / "b.hdf5.journal").write_bytes(b"ARM")  # killed at the first byte
    assert recover(tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_two_recordings_to_one_file_are_refused(tmp_path: Path) -> None:
    first = Recorder(tmp_path / "a.hdf5")
    with pytest.raises(UsageError, match="cannot be recorded to: File exists"):
        Recorder(tmp_path / "a.hdf5")
    first.discard()


def test_a_foreign_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.hdf5.journal").write_bytes(b"something else entirely")
    with pytest.raises(UsageError, match="is not a journal"):
        recover(tmp_path)

import contextlib
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_records import manifest, one_sealed_run, record, sealed

from benchmarks.lines import canonical, digest, parse
from benchmarks.packing import HASH_BYTES, Packed, pack, unpack
from benchmarks.records import (
    PACKED,
    SEAL,
    TRIALS,
    read_run,
    seal_bytes,
    starts_path,
    trial_bytes,
    verify_run,
)
from benchmarks.writer import RunWriter
from envs.errors import UsageError


def starts_of(folder: Path) -> Path:
    """Return the file of the starts that the seal of a run names."""
    return starts_path(folder, parse((folder / SEAL).read_bytes())["starts"])


def archive(table: bytes, starts: bytes = b"[{}]\n") -> Packed:
    """Return hand-made tables as archives."""
    return Packed(lzma.compress(table), lzma.compress(starts))


def test_packed_lines_come_back_byte_for_byte(tmp_path: Path) -> None:
    other = record(2, quality={"sparc": -0.0, "way": 1}, start={"objects": {}, "qpos": []})
    for name, records in (
        ("alike", [record(i) for i in range(4)]),
        ("various", [record(1), other, {"key": {}}, {}]),
        ("none", []),
    ):
        with RunWriter(tmp_path / name, manifest()) as writer:
            writer.append(records)
            lines = (tmp_path / name / TRIALS).read_bytes()
            writer.seal("armtrials 0")
        assert trial_bytes(tmp_path / name) == lines
        packed = pack(lines)
        assert packed == pack(lines)
        assert packed.trials == (tmp_path / name / PACKED).read_bytes()
        assert packed.starts == starts_of(tmp_path / name).read_bytes()


def test_what_the_lines_imply_is_not_packed(tmp_path: Path) -> None:
    data = lzma.decompress((sealed(tmp_path / "run") / PACKED).read_bytes())
    assert b"prev" not in data
    assert b"qpos" not in data


def test_a_hash_takes_its_thirty_two_bytes() -> None:
    lines = canonical(record(0)) + b"\n"
    line, _, hashes = lzma.decompress(pack(lines).trials).partition(b"\n")
    assert b'"actions_sha256":1' in line
    wanted = "".join(record(0)[name] for name in ("actions_sha256", "final_sha256"))
    assert hashes == bytes.fromhex(wanted)
    odd = canonical(record(0, final_sha256="AB" * HASH_BYTES)) + b"\n"  # not as a hash is written
    assert b"ABAB" in lzma.decompress(pack(odd).trials)


def test_policies_of_one_protocol_share_the_file_of_their_starts(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "shorter")]
    for folder, n in zip(folders, (4, 4, 3), strict=True):
        with RunWriter(folder, manifest(run=folder.name)) as writer:
            writer.append([record(i, clamps=len(folder.name)) for i in range(n)])
            writer.seal("armtrials 0")
    one, two, shorter = map(starts_of, folders)
    assert one == two != shorter
    assert sorted(p.name for p in tmp_path.glob("starts-*")) == sorted({one.name, shorter.name})
    assert [verify_run(folder) for folder in folders] == [[], [], []]


def test_missing_or_other_starts_are_named(tmp_path: Path) -> None:
    folder = sealed(tmp_path / "run")
    starts = starts_of(folder)
    original = starts.read_bytes()
    starts.unlink()
    for problem in (f"{starts.name} is missing", str(tmp_path)):
        assert problem in verify_run(folder)[0]
        with pytest.raises(UsageError, match=problem):
            read_run(folder)
    starts.write_bytes(lzma.compress(lzma.decompress(original), preset=0))
    assert f"{starts.name} does not have the hash in {SEAL}" in verify_run(folder)[0]
    starts.write_bytes(original)
    assert verify_run(folder) == []


@pytest.mark.parametrize("starts", [None, 7, "../../etc", "00"])
def test_a_seal_that_names_no_starts_is_refused(tmp_path: Path, starts: object) -> None:
    folder = sealed(tmp_path / "run")
    seal = parse((folder / SEAL).read_bytes())
    (folder / SEAL).write_bytes(seal_bytes({**seal, "starts": starts}))
    assert "does not name the starts" in verify_run(folder)[0]


def test_a_broken_archive_is_refused() -> None:
    data = pack(canonical(record(0)) + b"\n")
    for change in (lambda d: d[:-9], lambda d: d + b"x", lambda _: b"line\n"):
        for broken in (
            Packed(change(data.trials), data.starts),
            Packed(data.trials, change(data.starts)),
        ):
            with pytest.raises(ValueError, match="the archive is broken"):
                unpack(broken, "00")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (b'{"a":[1,2],"b":[1]}', "shorter"),
        (b'{"a":"b"}\n', "a column must be a list"),
        (b'{"a":7}\n', "as many hashes"),
        (b'{"a":-1}\n', "as many hashes"),
        (b'{"a":' + b"9" * 40 + b"}\n", "as many hashes"),
        (b'{"a":1}\n' + bytes(HASH_BYTES - 1), "as many hashes"),
        (b'{"a":1}\n' + bytes(HASH_BYTES + 1), "canonical form"),
        (b'{"a":["' + b"0" * 64 + b'"]}\n', "canonical form"),
        (b'{"a":true}\n' + bytes(HASH_BYTES), "canonical form"),
        (b'{"a":[1],"start":[2]}\n', "canonical form"),
        (b"[1]", "a trial must be an object"),
        (b'{"a":[1,2]}', "shorter"),
        (b'[{"a":1}]', "canonical form"),
        (b'{"a":[1], "b":[1]}', "canonical form"),
        (b'{"a":[1],"prev":["00"]}', "canonical form"),
        (b'{"a":[1]}\n{"a":[2]}\n', "canonical form"),
        (b'{"a":[1]}{"a":[2]}\n', "Extra data"),
        (b'{"a":[1]}', "canonical form"),
        (b'{"a":[NaN]}', "must not hold NaN"),
        (b'{"a":' * 100_000, "recursion"),
    ],
)
def test_a_table_that_packing_would_not_write_is_refused(table: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"the archive is broken: .*{reason}"):
        unpack(archive(table), "00")


def test_a_small_archive_of_endless_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a" * 40_000
    table = archive(canonical({name: [0] * 1000}) + b"\n", canonical([{}] * 1000) + b"\n")
    assert len(unpack(table, "00")) > 40_000_000
    monkeypatch.setattr("benchmarks.packing.MAX_BYTES", 20_000_000)
    with pytest.raises(ValueError, match="its lines must be at most 20000000 bytes"):
        unpack(table, "00")


def forge(folder: Path, packed: Packed) -> None:
    """Exchange the packed trials as a forger would who also mends the hashes in the seal."""
    seal = parse((folder / SEAL).read_bytes())
    seal["files"][PACKED], seal["starts"] = digest(packed.trials), digest(packed.starts)
    (folder / PACKED).write_bytes(packed.trials)
    starts_path(folder, seal["starts"]).write_bytes(packed.starts)
    (folder / SEAL).write_bytes(seal_bytes(seal))


@contextlib.contextmanager
def forged(**changes: Callable[[bytes], bytes]) -> Iterator[Path]:
    """Yield the sealed run with its uncompressed tables, ``trials`` or ``starts``, changed."""
    folder = one_sealed_run()
    original, seal = tables(folder), (folder / SEAL).read_bytes()
    packed = {k: lzma.compress(changes.get(k, lambda t: t)(t)) for k, t in original.items()}
    before = (folder / PACKED).read_bytes()
    try:
        forge(folder, Packed(**packed))
        yield folder
    finally:
        (folder / PACKED).write_bytes(before)
        starts_of(folder).unlink()
        (folder / SEAL).write_bytes(seal)


def tables(folder: Path) -> dict[str, bytes]:
    """Return both uncompressed tables of a sealed run."""
    files = {"trials": folder / PACKED, "starts": starts_of(folder)}
    return {name: lzma.decompress(path.read_bytes()) for name, path in files.items()}


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["trials", "starts"]), st.data())
def test_every_byte_of_the_packed_tables_is_guarded_by_the_chain(
    name: str, data: st.DataObject
) -> None:
    table = tables(one_sealed_run())[name]
    position = data.draw(st.integers(0, len(table) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda b: b != table[position]))
    edited = table[:position] + bytes([value]) + table[position + 1 :]
    with forged(**{name: lambda _: edited}) as folder:
        assert verify_run(folder)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("trials", b'"success":[true,false', b'"success":[true,true'),
        ("trials", b'"clamps":[0', b'"clamps":[1'),
        ("trials", b'"ic":[0,1', b'"ic":[1,0'),
        ("trials", b"null", b"0"),
        ("starts", b"1e-09", b"1E-09"),
        ("starts", b"0.1", b"0.2"),
        ("starts", b'"ic":[0,1', b'"ic":[1,0'),
    ],
)
def test_an_edited_field_is_detected_though_archive_and_seal_agree(
    name: str, old: bytes, new: bytes
) -> None:
    assert old in tables(one_sealed_run())[name]
    with forged(**{name: lambda table: table.replace(old, new, 1)}) as folder:
        assert verify_run(folder)
    assert verify_run(one_sealed_run()) == []


def test_a_removed_or_exchanged_or_repeated_trial_is_detected(tmp_path: Path) -> None:
    folder = sealed(tmp_path / "run")
    lines = trial_bytes(folder).splitlines(keepends=True)
    for changed in (lines[:-1], lines[1:], [lines[1], lines[0], *lines[2:]], [*lines, lines[-1]]):
        forge(folder, pack(b"".join(changed)))
        assert "the last line does not have the hash in SEALED.json" in verify_run(folder)
    forge(folder, pack(b"".join(lines)))
    assert verify_run(folder) == []

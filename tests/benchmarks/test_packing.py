import contextlib
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_records import manifest, one_sealed_run, record, sealed

from benchmarks.lines import canonical, digest, pack, parse, unpack
from benchmarks.records import PACKED, SEAL, TRIALS, seal_bytes, trial_bytes, verify_run
from benchmarks.writer import RunWriter


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
        assert pack(lines) == pack(lines) == (tmp_path / name / PACKED).read_bytes()


def test_what_the_lines_imply_is_not_packed(tmp_path: Path) -> None:
    data = (sealed(tmp_path / "run") / PACKED).read_bytes()
    assert b"prev" not in lzma.decompress(data)
    assert len(unpack(data, "00").splitlines()) == 4


def test_a_broken_archive_is_refused() -> None:
    data = pack(canonical(record(0)) + b"\n")
    for broken in (data[:-9], data + b"x", b"line\n"):
        with pytest.raises(ValueError, match="the archive is broken"):
            unpack(broken, "00")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (b'{"a":[1,2],"b":[1]}', "shorter"),
        (b'{"a":7}', "a column must be a list"),
        (b"[1,2]", "a trial must be an object"),
        (b'[{"a":1},{"a":2}]', "canonical form"),
        (b'{"a":[1], "b":[1]}', "canonical form"),
        (b'{"a":[1],"prev":["00"]}', "canonical form"),
        (b'{"a":[1]}\n{"a":[2]}\n', "Extra data"),
        (b'{"a":[NaN]}', "must not hold NaN"),
        (b'{"a":' * 100_000, "recursion"),
    ],
)
def test_a_table_that_packing_would_not_write_is_refused(table: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"the archive is broken: .*{reason}"):
        unpack(lzma.compress(table), "00")


def test_a_small_archive_of_endless_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a" * 40_000
    table = lzma.compress(canonical({name: [0] * 1000}))
    assert len(unpack(table, "00")) > 40_000_000
    monkeypatch.setattr("benchmarks.lines.MAX_BYTES", 20_000_000)
    with pytest.raises(ValueError, match="its lines must be at most 20000000 bytes"):
        unpack(table, "00")


def forge(folder: Path, packed: bytes) -> None:
    """Exchange the packed trials as a forger would who also mends the hashes in the seal."""
    seal = parse((folder / SEAL).read_bytes())
    seal["files"][PACKED] = digest(packed)
    (folder / PACKED).write_bytes(packed)
    (folder / SEAL).write_bytes(seal_bytes(seal))


@contextlib.contextmanager
def forged(change: Callable[[bytes], bytes]) -> Iterator[Path]:
    """Yield the sealed run with its uncompressed table changed."""
    folder = one_sealed_run()
    original, seal = (folder / PACKED).read_bytes(), (folder / SEAL).read_bytes()
    try:
        forge(folder, lzma.compress(change(lzma.decompress(original))))
        yield folder
    finally:
        (folder / PACKED).write_bytes(original)
        (folder / SEAL).write_bytes(seal)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_byte_of_the_packed_table_is_guarded_by_the_chain(data: st.DataObject) -> None:
    table = lzma.decompress((one_sealed_run() / PACKED).read_bytes())
    position = data.draw(st.integers(0, len(table) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda b: b != table[position]))
    edited = table[:position] + bytes([value]) + table[position + 1 :]
    with forged(lambda _: edited) as folder:
        assert verify_run(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"success":[true,false', b'"success":[true,true'),
        (b'"clamps":[0', b'"clamps":[1'),
        (b'"ic":[0,1', b'"ic":[1,0'),
        (b"1e-09", b"1E-09"),
        (b"null", b"0"),
    ],
)
def test_an_edited_field_is_detected_though_archive_and_seal_agree(old: bytes, new: bytes) -> None:
    with forged(lambda table: table.replace(old, new, 1)) as folder:
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

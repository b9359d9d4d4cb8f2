"""Submitted runs: packed, checked on arrival, and whatever a stranger may have put inside."""

import io
import lzma
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_runs import MadeUp, Maker

from benchmarks import parcel
from benchmarks.arrival import accept
from benchmarks.leaderboard import make_leaderboard
from benchmarks.parcel import pack_run, unpack_run
from benchmarks.records import MANIFEST, SEAL, verify_run
from envs.errors import UsageError

ONE = MadeUp("act", 2.0, seeds=(0,))
RUN = "pick_place_v1/act-cpu-seed0"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sealed run with videos, where its manifest says."""
    maker = Maker(tmp_path_factory.mktemp("submit"), 20, ("object_pose/L2",), videos=True)
    folder = maker.write(ONE, 0)
    return folder.rename(folder.with_name("act-cpu-seed0"))


@pytest.fixture
def packed(run: Path, tmp_path: Path) -> Path:
    return pack_run(run, tmp_path / "act.tar.xz")


Members = list[tuple[tarfile.TarInfo, bytes]]


def remake(packed: Path, change: Callable[[Members], object]) -> Path:
    """Write a parcel anew, its members changed."""
    with tarfile.open(packed) as archive:
        members = [(m, archive.extractfile(m).read()) for m in archive]  # type: ignore[union-attr]
    change(members)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    packed.write_bytes(lzma.compress(buffer.getvalue()))
    return packed


def member(
    name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type = (len(data) if kind == tarfile.REGTYPE else 0), kind
    info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return info, data


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_run_arrives_as_it_was_sent(run: Path, packed: Path, tmp_path: Path) -> None:
    found = accept(packed, tmp_path / "board")
    assert (found.name, found.world, found.state) == (RUN, "sim", "partial")
    assert found.folder is not None
    assert files(found.folder) == files(run)
    assert verify_run(found.folder) == []
    board = make_leaderboard(tmp_path / "board").board
    assert board["tables"][0]["rows"][0]["label"] == "act"
    assert accept(packed, tmp_path / "board").already


def test_the_same_run_gives_the_same_parcel(run: Path, packed: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run.parent, tmp_path / "elsewhere" / run.parent.name) / run.name
    assert pack_run(copy, tmp_path / "b.tar.xz").read_bytes() == packed.read_bytes()


def test_checking_writes_nothing(packed: Path, tmp_path: Path) -> None:
    before = sorted(p.name for p in tmp_path.iterdir())
    assert accept(packed, None).folder is None
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("../../evil.json", tarfile.REGTYPE, "has a name that no parcel may hold"),
        (f"{RUN}/videos/../../../evil.mp4", tarfile.REGTYPE, "has a name that no parcel may hold"),
        ("/etc/evil", tarfile.REGTYPE, "has a name that no parcel may hold"),
        (f"{RUN}/.ssh/authorized_keys", tarfile.REGTYPE, "has a name that no parcel may hold"),
        (f"{RUN}/videos/a.html", tarfile.REGTYPE, "has a name that no parcel may hold"),
        (f"{RUN}/videos/a\\..\\b.mp4", tarfile.REGTYPE, "has a name that no parcel may hold"),
        (f"{RUN}/videos/a.mp4", tarfile.SYMTYPE, "must be a plain file, it is a link"),
        (f"{RUN}/videos/a.mp4", tarfile.LNKTYPE, "must be a plain file, it is a link"),
        (f"{RUN}/videos", tarfile.DIRTYPE, "must be a plain file, it is a folder"),
        (f"{RUN}/videos/a.mp4", tarfile.CHRTYPE, "must be a plain file"),
        (f"{RUN}/videos/a.mp4", tarfile.FIFOTYPE, "must be a plain file"),
        (f"{RUN}/manifest.json", tarfile.REGTYPE, "is there twice"),
        (f"{RUN}/MANIFEST.json".lower(), tarfile.REGTYPE, "is there twice"),
    ],
)
def test_a_member_that_must_not_be_is_refused_and_nothing_is_written(
    name: str, kind: bytes, told: str, packed: Path, tmp_path: Path
) -> None:
    remake(packed, lambda members: members.append(member(name, kind=kind)))
    before = files(tmp_path)
    with pytest.raises(UsageError, match=told):
        accept(packed, tmp_path / "board")
    assert files(tmp_path) == before
    assert not (tmp_path.parent / "evil.json").exists()


def test_ten_thousand_members_are_refused(packed: Path, tmp_path: Path) -> None:
    many = [member(f"{RUN}/videos/a{i}.mp4") for i in range(10_000)]
    remake(packed, lambda members: members.extend(many))
    with pytest.raises(UsageError, match="at most 5000 members"):
        accept(packed, tmp_path / "board")
    assert not list((tmp_path / "board").rglob("*.mp4"))


def test_a_header_that_lengthens_names_is_not_read(packed: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(member("x" * 300)[0], io.BytesIO(b"x"))
    packed.write_bytes(lzma.compress(buffer.getvalue()))
    with pytest.raises(UsageError, match="must be a plain file"):
        accept(packed, tmp_path / "board")


def test_sizes_are_limited_before_anything_is_kept(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcel, "MAX_FILE", 10)
    with pytest.raises(UsageError, match="must be at most 10 bytes, got"):
        accept(packed, tmp_path / "board")


def test_a_small_file_that_unpacks_without_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcel, "MAX_TOTAL", 1 << 20)
    info, _ = member(f"{RUN}/manifest.json")
    info.size = 100 << 20
    packed = tmp_path / "bomb.tar.xz"
    packed.write_bytes(lzma.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(info.size)))
    assert packed.stat().st_size < 100_000
    with pytest.raises(UsageError, match="unpacks to at most 1048576 bytes"):
        unpack_run(packed, tmp_path / "out")


def test_a_parcel_cut_anywhere_is_refused(packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    for share in (0.0, 0.001, 0.3, 0.9, 0.9999):
        packed.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UsageError, match="is no whole parcel"):
            accept(packed, tmp_path / "board")
    packed.write_bytes(whole + b"more")
    with pytest.raises(UsageError, match="something follows the archive"):
        accept(packed, tmp_path / "board")
    packed.write_bytes(b"no archive at all")
    with pytest.raises(UsageError, match="is no whole parcel"):
        accept(packed, tmp_path / "board")


def swap(
    name: str, old: bytes, new: bytes
) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        for i, (info, data) in enumerate(members):
            if info.name.endswith(name):
                assert old in data
                members[i] = member(info.name, data.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (swap(MANIFEST, b'"act"', b'"axt"'), "is not as it was sealed"),
        (swap(SEAL, b'"trials": 40', b'"trials": 41'), "is not as it was sealed: SEALED.json was"),
        (lambda m: m.append(member(f"{RUN}/videos/new.mp4")), "its seal does not list: new.mp4"),
        (lambda m: m.append(member("other_v1/run/manifest.json")), "must hold one run, it holds 2"),
        (lambda m: m.clear(), "must hold one run, it holds 0"),
        (
            lambda m: m.__setitem__(
                slice(None), [x for x in m if "starts-" not in x[0].name]
            ),
            "is missing, with the starts of its trials",
        ),
    ],
)  # fmt: skip
def test_what_is_not_as_sealed_does_not_come_in(
    change: Callable[[Members], object],
    told: str, packed: Path, tmp_path: Path,
) -> None:  # fmt: skip
    remake(packed, change)
    with pytest.raises(UsageError, match=told):
        accept(packed, tmp_path / "board")
    assert not list((tmp_path / "board").rglob("*.json"))


def test_another_run_of_the_same_name_is_never_overwritten(packed: Path, tmp_path: Path) -> None:
    place = tmp_path / "board/runs" / RUN
    place.mkdir(parents=True)
    (place / SEAL).write_text("{}")
    with pytest.raises(UsageError, match="is another run of this name"):
        accept(packed, tmp_path / "board")
    assert [p.name for p in place.iterdir()] == [SEAL]


def test_a_run_that_is_not_as_sealed_is_not_sent(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run.parent, tmp_path / run.parent.name) / run.name
    (copy / MANIFEST).write_bytes((copy / MANIFEST).read_bytes() + b"\n")
    with pytest.raises(UsageError, match="cannot be submitted"):
        pack_run(copy, tmp_path / "a.tar.xz")
    assert not (tmp_path / "a.tar.xz").exists()

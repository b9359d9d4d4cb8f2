"""Conversion of a data set, episode by episode, in the memory that one episode takes.

What is done lies beside the result, in ``.<name>.converting``: a folder an episode. So a
conversion that was interrupted goes on where it stopped, and the result is complete or absent.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from envs.atomic import write_atomic
from envs.disk import full_disk_told
from envs.episode import Episode
from envs.errors import UsageError
from envs.formats.aloha import AlohaSource, AlohaTarget
from envs.formats.base import Options, Source, Target
from envs.formats.robomimic_read import RobomimicSource, is_robomimic
from envs.formats.robomimic_write import RobomimicTarget
from envs.lock import locked

FORMATS = ("aloha", "lerobot", "robomimic")
PIECE, ORDER = "piece.json", "conversion.json"


@dataclass(frozen=True)
class Conversion:
    """What to convert.

    Attributes:
        source: folder or file.
        out: folder, of robomimic the file; must not exist.
        to: one of ``FORMATS``.
        options: what the target leaves open.
        skip_broken: leave out what cannot be read instead of stopping there.
    """

    source: Path
    out: Path
    to: str
    options: Options = field(default_factory=Options)
    skip_broken: bool = False


@dataclass(frozen=True)
class Report:
    """What came of a conversion.

    Attributes:
        episodes: in the result.
        kept: how many of them an earlier, interrupted conversion had made.
        broken: why episodes were left out, by name.
        dropped: what the source holds and the result has no place for.
    """

    episodes: int
    kept: int
    broken: Mapping[str, str]
    dropped: Sequence[str]


def format_of(path: Path) -> str:
    """Tell which format lies at ``path``.

    Raises:
        UsageError: nothing is there, or none of the known formats.
    """
    path = Path(path)
    if (path / "meta" / "info.json").is_file():
        return "lerobot"
    if path.is_dir() and any(path.glob("*.hdf5")):
        return "aloha"
    if path.is_file() and path.suffix in (".hdf5", ".h5"):
        return "robomimic" if is_robomimic(path) else "aloha"
    if not path.exists():
        raise UsageError(f"{path} does not exist: give a folder of episodes or a robomimic file")
    raise UsageError(
        f"{path}: must be a folder of ALOHA episodes (*.hdf5), a LeRobot v3.0 data set "
        "(meta/info.json) or a robomimic file (*.hdf5)"
    )


def open_source(path: Path) -> Source:
    """Return the episodes at ``path``, whatever their format."""
    kind = format_of(path)
    if kind == "aloha":
        return AlohaSource(path)
    if kind == "robomimic":
        return RobomimicSource(path)
    _need_pyarrow()
    from envs.formats.lerobot_read import LeRobotSource  # pyarrow is an extra

    return LeRobotSource(path)


def make_target(to: str, options: Options) -> Target:
    """Return the writer of a format."""
    if to not in FORMATS:
        raise UsageError(f"unknown format {to!r}; known: {', '.join(FORMATS)}")
    if to == "aloha":
        return AlohaTarget(options)
    if to == "robomimic":
        return RobomimicTarget(options)
    _need_pyarrow()
    from envs.formats.lerobot_write import LeRobotTarget  # pyarrow is an extra

    return LeRobotTarget(options)


def _need_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "LeRobot's data sets need pyarrow: pip install 'armtrials[convert]'"
        ) from error


def convert(
    config: Conversion,
    advance: Callable[..., None] = lambda n=1: None,
    source: Source | None = None,
) -> Report:
    """Convert all episodes; what an interrupted conversion of the same has done is kept.

    Args:
        config: what to convert.
        advance: called with a number of episodes that are done.
        source: ``open_source(config.source)``, where the caller has it already.

    Raises:
        UsageError: the result exists, an episode is broken or unlike the others, or the disk is
            full; the source is never changed, and what is done stays for the next attempt.
    """
    target, out = make_target(config.to, config.options), Path(config.out)
    if out.exists():
        raise UsageError(f"{out} exists already: remove it or choose another place")
    source = source or open_source(config.source)
    work = out.absolute().parent / f".{out.name}.converting"
    with locked(work, "another conversion is writing there: wait for it to end"):
        _check_order(work, config, source.names)
        with full_disk_told("the conversion", lambda: f"finished episodes are kept in {work}"):
            report = _stage_all(config, source, target, work, advance)
            pieces = [p for p in _pieces(work, len(source.names)) if p.is_dir()]
            if not pieces:
                raise UsageError(f"{config.source}: no episode could be converted")
            made = work / "made"
            _remove(made)
            target.assemble(pieces, made)
            made.replace(out)
        shutil.rmtree(work)
    return report


def _stage_all(
    config: Conversion,
    source: Source,
    target: Target,
    work: Path,
    advance: Callable[..., None],
) -> Report:
    """Stage the episodes that are not there yet."""
    pieces, broken = _pieces(work, len(source.names)), {}
    kept = sum(piece.is_dir() for piece in pieces)
    advance(kept)
    first: tuple[str, Mapping[str, Any]] | None = None
    for i, (name, piece) in enumerate(zip(source.names, pieces, strict=True)):
        if not piece.is_dir():
            try:
                episode = source.read(i)
            except UsageError as error:
                if not config.skip_broken:
                    raise UsageError(
                        f"{error}; what was converted is kept, --skip-broken leaves this one out"
                    ) from error
                broken[name] = str(error)
                advance(1)
                continue
            _stage(target, episode, name, piece, first)
            advance(1)
        first = first or (name, json.loads((piece / PIECE).read_text()))
    return Report(len(pieces) - len(broken), kept, broken, tuple(source.dropped))


def _stage(
    target: Target,
    episode: Episode,
    name: str,
    piece: Path,
    first: tuple[str, Mapping[str, Any]] | None,
) -> None:
    """Write one episode's folder, completely or not at all."""
    signature = json.loads(json.dumps(target.signature(episode)))
    if first is not None and signature != first[1]:
        raise UsageError(
            f"{name} does not fit {first[0]}: "
            f"{_difference(first[1], signature)}; one data set holds one kind of episode"
        )
    partial = piece.with_suffix(".part")
    _remove(partial)
    partial.mkdir()
    target.stage(partial, episode)
    write_atomic(partial / PIECE, json.dumps(signature).encode())
    partial.replace(piece)


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Say in what two signatures differ first."""
    for key in sorted({*one, *other}):
        if one.get(key) != other.get(key):
            return f"{key} is {other.get(key, 'missing')}, was {one.get(key, 'missing')}"
    return "their kind"


def _pieces(work: Path, count: int) -> list[Path]:
    return [work / f"{i:06d}" for i in range(count)]


def _check_order(work: Path, config: Conversion, names: Sequence[str]) -> None:
    """Write down what is converted, or refuse to mix with another conversion's pieces."""
    order = {
        "source": str(Path(config.source).resolve()),
        "to": config.to,
        "options": asdict(config.options),
        "names": list(names),
        "changed": _changed(Path(config.source)),
    }
    path = work / ORDER
    if path.is_file() and json.loads(path.read_text()) != order:
        raise UsageError(
            f"{work} holds an unfinished conversion of something else (another source, other "
            "options, or the source has changed): remove that folder to start anew"
        )
    write_atomic(path, json.dumps(order).encode())


def _changed(source: Path) -> list[list[Any]]:
    """Return path, size and time of every file of a source."""
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
    return [
        [str(p.relative_to(source)), s.st_size, s.st_mtime_ns] for p in files for s in [p.stat()]
    ]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""Convert demonstrations and trial records to and from other formats."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from envs.formats.convert import Report

EXAMPLES = """
armtrials convert data/pick_place lerobot/pick_place --to lerobot
armtrials convert data/pick_place exact --to lerobot --images lossless
armtrials convert lerobot/pick_place data/back --to aloha
armtrials convert data/pick_place pick_place.hdf5 --to robomimic
armtrials convert results/runs/wipe_v1/act-s0-d43d6c3217 eval_info.json --to eval_info
armtrials convert results/runs/wipe_v1/act-s0-d43d6c3217 trials.csv --to csv
"""
RECORDS = ("eval_info", "csv")


@dataclass(frozen=True)
class Convert:
    """Convert demonstrations: ALOHA HDF5, LeRobot v3.0, robomimic; what is given is recognised.

    Episode by episode, in the memory of one; interrupted, the same command continues. The
    result is complete or absent, and the source is never changed. Of a run folder the trials.
    """

    source: tyro.conf.Positional[Path]
    """Folder of episodes, LeRobot data set, robomimic file, or run folder."""
    out: tyro.conf.Positional[Path]
    """What to make; it must not exist. Of robomimic, eval_info and csv a file, else a folder."""
    to: Literal["aloha", "lerobot", "robomimic", "eval_info", "csv"]
    """eval_info: the layout of LeRobot's evaluator; csv: a line a trial, without the policy."""
    images: Literal["h264", "lossless", "png"] = "h264"
    """LeRobot: h264 is small, with codec error; lossless (H.264) and png (in the tables) are
    bit-exact."""
    crf: int = 18
    """LeRobot, h264: quality from 0 to 51, smaller is better."""
    jpeg: bool = False
    """ALOHA: JPEG instead of raw pictures."""
    next_obs: bool = True
    """robomimic: every observation a second time, as the one after a step."""
    skip_broken: bool = False
    """Leave out what cannot be read instead of stopping there."""

    def run(self) -> int:
        """Convert and say what came of it; return 0."""
        from rich.console import Console

        from benchmarks.records import MANIFEST

        console = Console(highlight=False, soft_wrap=True)
        if (self.source / MANIFEST).is_file() or self.to in RECORDS:
            console.print(self._records(), markup=False)
            return 0
        for line in self._episodes():
            console.print(line, markup=False)
        return 0

    def _records(self) -> str:
        """Write the trials of a run in another form."""
        from benchmarks.trial_exports import EXPORTS
        from benchmarks.writer import refuse_disk_errors
        from envs.atomic import write_whole
        from envs.errors import UsageError

        if self.to not in RECORDS:
            raise UsageError(f"a run folder becomes {' or '.join(RECORDS)}, got --to {self.to}")
        if self.out.exists():
            raise UsageError(f"{self.out} exists already: remove it or choose another place")
        data, told = EXPORTS[self.to](self.source)
        with refuse_disk_errors(self.out.parent, "another OUT"):
            write_whole(self.out, data)
        return f"{self.out}: {told}"

    def _episodes(self) -> list[str]:
        """Convert demonstrations; return what to say."""
        from envs.formats.base import Options
        from envs.formats.convert import Conversion, convert, open_source
        from scripts.progress import progress

        options = Options(self.images, self.crf, self.jpeg, self.next_obs)
        job = Conversion(self.source, self.out, self.to, options, self.skip_broken)
        source = open_source(self.source)
        with progress(f"convert {self.source}", len(source.names)) as advance:
            report = convert(job, advance, source)
        return _told(self.out, report)


def _told(out: Path, report: "Report") -> list[str]:
    noun = "episode" if report.episodes == 1 else "episodes"
    kept = f", {report.kept} of them converted before" if report.kept else ""
    lines = [f"{out}: {report.episodes} {noun}{kept}"]
    lines += [f"left out {name}: {reason}" for name, reason in report.broken.items()]
    if report.dropped:
        lines.append(f"no place in an episode, not converted: {', '.join(report.dropped)}")
    return lines

"""Record demonstrations of a task with the scripted expert."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from scripts.scale import Scale

if TYPE_CHECKING:
    from envs.arm import InitialCondition
    from envs.collection import Collection

EXAMPLES = """
armtrials collect --task pick_place --episodes 50 --out data/pick_place
armtrials collect --episodes 100 --pixels --out data/pick_place_pixels
armtrials collect --task two_ways --strategy 0.7 --out data/two_ways
armtrials collect --starts proposed.json --episodes 25 --out data/next
armtrials collect --operator mixed --randomise full --recovery 0.2 --out data/varied
armtrials collect --operator noisy --randomise lighting/L1 object_pose/L2 --out data/two
armtrials collect --out data/many --episodes 5000 --executor submitit --slurm partition=cpu
"""


@dataclass(frozen=True)
class Collect:
    """Record demonstrations into a folder of ALOHA HDF5 files.

    Run it again to continue after an interruption, or with more --episodes to add some. The bytes
    depend on the settings and the seed alone, not on the number of workers.
    """

    out: Path
    """Folder of the demonstrations; made if missing."""
    task: str = "pick_place"
    """Task to demonstrate."""
    episodes: int = 50
    """Number of successful demonstrations; failed attempts are kept aside in failed/."""
    pixels: bool = False
    """Record what the cameras see, too."""
    image_size: int | None = None
    """Width and height of the pictures that are recorded with --pixels [px] (default: 84)."""
    cameras: tuple[str, ...] = ()
    """Cameras that are recorded with --pixels (default: overhead, and one on each wrist)."""
    operator: str = "clean"
    """Style of the expert: clean, noisy, slow or fast; mixed: one of them in each episode."""
    strategy: str = "mixed"
    """Which of two ways, where a task leaves the choice: left, right, mixed, or the share of left
    ways, such as 0.7."""
    robot: str = ""
    """Robot to demonstrate with, such as viperx, koch, openarm or viperx_pair (default: the
    task's)."""
    recovery: float = 0.0
    """Share of the demonstrations that start off nominal: after a push, a nudge, a missed grasp."""
    randomise: tuple[str, ...] = ("none",)
    """What varies from episode to episode: none, visual, physical or full, all (everything but
    words at L1), and factors by name as variation/level, such as object_pose/L2."""
    gap: str = ""
    """Demonstrate on a simulated arm that is off: ordinary or hard (default: the nominal one)."""
    starts: Path | None = None
    """File of starts to demonstrate from, as armtrials diagnose proposes them."""
    seed: int = 0
    """Another seed gives other demonstrations."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes at a time (default: one a core)."""
    scale: tyro.conf.OmitArgPrefixes[Scale] = field(default_factory=Scale)
    """Where the --workers run."""

    def run(self) -> int:
        """Collect and say what came of it; return 0."""
        from rich.console import Console

        from envs.collect import collect
        from envs.collection import read_info
        from scripts.progress import progress

        begin = time.monotonic()
        collection, info = self.collection(), read_info(self.out)
        total = max(self.episodes, info.episodes if info else 0)
        with progress(f"collect {self.task}", total) as advance:
            wanted = (collection, self.episodes, self.out)
            report = collect(*wanted, self.workers, advance, self.scale.place())
        seconds = time.monotonic() - begin
        kept = f", {report.kept} were there already" if report.kept else ""
        noun = "demonstration" if report.episodes == 1 else "demonstrations"
        text = f"{self.out}: {report.episodes} {noun}{kept}"
        if report.failed:
            text += f"; {len(report.failed)} of {report.attempts} attempts failed, see failed/"
        if made := report.attempts - report.kept:
            text += f"; {60 * made / seconds:.0f} episodes a minute"
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"{text}.\nLook at them: armtrials inspect {self.out}", markup=False)
        return 0

    def collection(self) -> "Collection":
        """Return the settings as the library takes them.

        Raises:
            UsageError: an unknown name, or a malformed variation.
        """
        from envs.arm import CameraSpec
        from envs.collection import Collection
        from envs.errors import UsageError
        from envs.recipes import randomisation
        from envs.robots import ROBOTS
        from envs.tasks import TASKS

        given = {"--cameras": self.cameras, "--image-size": self.image_size is not None}
        for option, there in given.items():
            if there and not self.pixels:
                raise UsageError(f"{option} belongs to --pixels: no pictures are recorded without")
        size = 84 if self.image_size is None else self.image_size
        if not 8 <= size <= 1024:
            raise UsageError(f"--image-size must be 8..1024 px, got {size}")
        names = self.cameras or ROBOTS[self.robot or TASKS[self.task].robot].spec().cameras
        cameras = tuple(CameraSpec(name, size, size) for name in names if self.pixels)
        return Collection(
            task=self.task,
            robot=self.robot,
            operator=self.operator,
            variations=randomisation(self.randomise, self.task),
            seed=self.seed,
            strategy=self.strategy,
            cameras=cameras,
            recovery=self.recovery,
            gap=self.gap,
            starts=self._starts(),
        )

    def _starts(self) -> "tuple[InitialCondition, ...]":
        """Return the starts of the file, if there is one."""
        from envs.starts_file import read_starts
        from envs.tasks import TASKS

        if self.starts is None:
            return ()
        return read_starts(self.starts, self.task, self.robot or TASKS[self.task].robot)

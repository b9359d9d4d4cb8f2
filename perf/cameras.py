"""What cameras, tags and boards give: ``python -m perf.cameras [names]``.

faults    what becomes of every fault of a camera, on a clock of its own
rig       two emulated cameras in a process of their own, read 50 times a second
tags      where the cube of pick_place is, by the tags on it, on rendered pictures
board     planted shifts of a camera, read from a board on rendered pictures
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.spatial.transform import Rotation

from envs.arm import Array
from perf.camera_faults import MATRIX, measure
from perf.rendered import CUBE, BoardScene, TaggedScene
from real.camera_rig import CameraRig, CameraSource
from real.charuco import Board, locate
from real.emulators.realsense import EmulatedCamera, RealSenseEmulator
from real.extrinsics import PICTURES, shift
from real.pinhole import Pose
from real.tags import TagFinder

CONSOLE = Console(width=150, highlight=False)


def faults(scale: float) -> None:
    """Print the matrix."""
    table = Table("fault", "pictures", "new", "twice", "same", "missing", "read as new twice",
                  "flagged", "stopped", "state", "afterwards")  # fmt: skip
    for name, fault in MATRIX.items():
        lasts = 5.0 if fault == "stall" else 60.0 * scale
        o = measure(fault, lasts)
        c = o.counts
        when = [("" if s is None else f"{1e3 * s:.0f} ms") for s in (o.flagged_s, o.stopped_s)]
        numbers = (o.periods, c.frames, c.duplicates, c.same, c.dropped, o.repeated)
        table.add_row(name, *map(str, numbers), *when, o.state, o.after)
    CONSOLE.print(table)


def scenery(camera: str, t: float) -> tuple[Array, None]:
    """Return something to look at."""
    return np.full((480, 640, 3), 120, np.uint8), None


def rig(scale: float) -> None:
    """Read a rig as a control loop does."""
    cameras = [EmulatedCamera("overhead", "D435", "1"), EmulatedCamera("wrist", "D405", "2")]
    emulator = RealSenseEmulator(cameras, scenery)
    sources = [CameraSource(name, partial(emulator.open, name)) for name in emulator.cameras]
    ages, took, new, ticks = [], [], 0, round(1500 * scale)
    with CameraRig(sources) as running:
        before = running.read()["overhead"].counts.frames
        start = time.monotonic()
        for tick in range(ticks):
            time.sleep(max(0.0, start + tick / 50 - time.monotonic()))
            begin = time.perf_counter()
            reading = running.read()["overhead"]
            took.append(time.perf_counter() - begin)
            ages.append(reading.age)
            new += reading.new
        counts = reading.counts
    a, t = 1e3 * np.percentile(ages, [50, 99]), 1e3 * np.percentile(took, [50, 99])
    CONSOLE.print(
        f"2 cameras, 640x480 at 30, {ticks} readings at 50 Hz: {counts.frames - before} pictures, "
        f"{new} new; age of the newest {a[0]:.0f} ms (99 %: {a[1]:.0f}); a reading takes "
        f"{t[0]:.2f} ms (99 %: {t[1]:.2f}); {counts.dropped} missing, {counts.duplicates} twice"
    )


def tags(scale: float) -> None:
    """Find the cube on the table and in the air."""
    table = Table("pictures", "cube", "found", "taken to stand", "mm: mean", "95 %",
                  "degrees: mean", "95 %")  # fmt: skip
    for width, height in ((640, 480), (1280, 720)):
        scene = TaggedScene(width, height)
        for what, high, tilt in (
            ("on the table", 0.0, 0.0),
            ("3 to 12 cm above it", 1.0, 0.0),
            ("and tilted by 15 to 30 deg", 1.0, 1.0),
        ):
            rng, off, turned, stood = np.random.default_rng(0), [], [], 0
            count = max(4, round((60 if width == 640 else 30) * scale))
            for _ in range(count):
                lifted = high * float(rng.uniform(0.03, 0.12))
                seen = scene.see(rng, lifted, tilt * float(np.radians(rng.uniform(15, 30))))
                finder = TagFinder([CUBE], seen.lens, seen.camera)
                if (found := finder.find(seen.image).get("cube")) is not None:
                    off.append(1e3 * found.pose.distance(seen.cube))
                    turned.append(np.degrees(found.pose.angle(seen.cube)))
                    stood += found.stands
            figures = (np.mean(off), np.percentile(off, 95), np.mean(turned))
            cells = [f"{v:.2f}" for v in (*figures, np.percentile(turned, 95))]
            table.add_row(f"{width}x{height}", what, f"{len(off)} of {count}", str(stood), *cells)
        scene.close()
    CONSOLE.print(table)


def board(scale: float) -> None:
    """Plant shifts and read them back."""
    scene, rng = BoardScene(Board()), np.random.default_rng(0)
    camera = scene.aimed(0.6, 28.0, -60.0)
    there = locate(scene.board, scene.see(camera, rng, PICTURES), scene.lens).pose
    table = Table("planted", "times", "read: median [5 %, 95 %]", "ok", "warn", "block")
    for mm, deg in ((0, 0), (1, 0), (2, 0), (3, 0), (5, 0), (6, 0), (10, 0), (0, 0.5), (0, 1.5)):
        reads, verdicts = [], []
        times = max(3, round(20 * scale))
        for _ in range(times):
            way, axis = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
            planted = Pose.of(1e-3 * mm * way, Rotation.from_rotvec(np.radians(deg) * axis))
            pictures = scene.see(camera @ planted, rng, PICTURES)
            found = shift(there, locate(scene.board, pictures, scene.lens).pose)
            reads.append(found.deg if deg else found.mm)
            verdicts.append(found.verdict)
        low, middle, high = np.percentile(reads, [5, 50, 95])
        unit = "deg" if deg else "mm"
        share = [f"{verdicts.count(v)}" for v in ("ok", "warn", "block")]
        read = f"{middle:.2f} [{low:.2f}, {high:.2f}] {unit}"
        table.add_row(f"{deg or mm} {unit}", str(times), read, *share)
    CONSOLE.print(table)


MEASUREMENTS: dict[str, Callable[[float], None]] = {
    "faults": faults,
    "rig": rig,
    "tags": tags,
    "board": board,
}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*MEASUREMENTS, []])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the work")
    arguments = parser.parse_args()
    for name in arguments.names or MEASUREMENTS:
        MEASUREMENTS[name](arguments.scale)


if __name__ == "__main__":
    main()

"""The steps of `armtrials calibrate` that are about cameras."""

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import radians
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.calibrate_prints import Squares, say

if TYPE_CHECKING:
    from envs.arm import Array
    from real.calibration import Calibration
    from real.cameras import Camera
    from real.charuco import Board as Pattern
    from real.charuco import Located
    from real.pinhole import Intrinsics

FILE = Path("calibration.json")


@dataclass(frozen=True)
class Pictures:
    """Where pictures come from."""

    camera: str
    """The camera's name, such as overhead or wrist."""
    pictures: Path | None = None
    """Folder of pictures; with --live they are kept there."""
    live: str | None = None
    """A camera: realsense, realsense:SERIAL, /dev/video0, or a URL."""
    width: int = 640
    """Width of the pictures of a live camera [px]."""
    height: int = 480
    """Their height [px]."""
    fps: int = 30
    """Their rate [1/s]."""
    file: Path = FILE
    """The calibration."""

    def _take(self, take: "Callable[[Camera], dict[str, Array]]") -> "dict[str, Array]":
        """Return the pictures of the folder, or those that ``take`` gets from the live camera."""
        from envs.errors import UsageError
        from real.board_pictures import open_camera, read_pictures
        from real.cameras import CameraError, Mode

        if self.live is None:
            if self.pictures is None:
                raise UsageError("pictures are needed: --pictures FOLDER or --live CAMERA")
            return read_pictures(self.pictures)
        try:
            mode = Mode(self.width, self.height, self.fps)
            with closing(open_camera(self.live, self.camera, mode)) as camera:
                camera.start()
                taken = take(camera)
        except CameraError as error:
            raise UsageError(str(error)) from error
        if self.pictures is not None:
            keep(self.pictures, taken)
        return taken

    def _stills(self, count: int) -> "dict[str, Array]":
        """Return pictures of a scene that rests."""
        from real.board_pictures import take_still

        return self._take(
            lambda camera: {f"{k:02d}.png": p for k, p in enumerate(take_still(camera, count))}
        )


@dataclass(frozen=True)
class Lens(Pictures):
    """Measure a camera's lens from pictures of the board in different poses."""

    robot: str = "viperx"
    """The arm whose calibration this is, where the file is new."""
    count: int = 15
    """Pictures to take of a live camera: move the board about, and rest it for a moment."""
    factory: bool = False
    """Take the maker's calibration of a live RealSense instead; it needs no board."""
    squares: Squares = field(default_factory=Squares)
    """The board."""

    def run(self) -> int:
        """Write the lens into the file; return 0."""
        from real.calibration import CameraCalibration
        from real.charuco import calibrate_lens

        if self.factory:
            return self._makers()
        board = self.squares.pattern()
        lens = calibrate_lens(board, self._take(lambda camera: self._poses(camera, board)))
        calibration = opened(self.file, self.robot)
        old = calibration.cameras.get(self.camera)
        used = len(lens.used)
        if old is None:
            made = CameraCalibration(lens.intrinsics, lens.error_px, used)
        else:
            made = replace(old, intrinsics=lens.intrinsics, error_px=lens.error_px, pictures=used)
            made = replace(made, pose=None, reference=None)
        for name, why in lens.left_out.items():
            say(f"  left out {name}: {why}")
        seen = lens.intrinsics
        say(
            f"{self.camera}: f {seen.fx:.1f} {seen.fy:.1f} (+-{lens.focal_sd:.1%}), centre "
            f"{seen.cx:.1f} {seen.cy:.1f} px, error {lens.error_px:.2f} px, {used} pictures"
        )
        return saved(calibration.with_camera(self.camera, made), self.file)

    def _makers(self) -> int:
        """Write what the camera itself knows of its lens into the file; return 0."""
        from envs.errors import UsageError
        from real.calibration import CameraCalibration
        from real.realsense import RealSenseCamera

        lenses: list[Intrinsics] = []

        def take(camera: "Camera") -> "dict[str, Array]":
            if not isinstance(camera, RealSenseCamera):
                raise UsageError(f"{self.live} knows nothing of its lens; measure it with a board")
            lenses.append(camera.intrinsics)
            return {}

        if self.live is None:
            raise UsageError("--factory needs a camera: --live realsense")
        self._take(take)
        (lens,) = lenses
        say(f"{self.camera}: f {lens.fx:.1f} {lens.fy:.1f} px, by its maker")
        calibration = opened(self.file, self.robot)
        return saved(calibration.with_camera(self.camera, CameraCalibration(lens)), self.file)

    def _poses(self, camera: "Camera", board: "Pattern") -> "dict[str, Array]":
        from real.board_pictures import take_poses

        say("Move the board about: tilted to all sides, near and far, in the middle and corners.")

        def tell(count: int, corners: int) -> None:
            sys.stderr.write(f"\r{count} of {self.count} pictures, {corners:>2} corners in view ")

        try:
            return take_poses(camera, board, self.count, tell)
        finally:
            sys.stderr.write("\n")


@dataclass(frozen=True)
class Reference(Pictures):
    """Note where the camera is while data is collected; later checks compare with that."""

    robot: str = "viperx"
    """The arm whose calibration this is, where the file is new."""
    at: tuple[float, float, float] | None = None
    """Where the board's lower left corner lies, from the arm's base: x, y [m], and the turn of its
    lower edge from x [deg]. With it the camera's place is known to the arm (for tags)."""
    squares: Squares = field(default_factory=Squares)
    """The board."""

    def run(self) -> int:
        """Write the reference into the file; return 0."""
        from envs.errors import UsageError
        from real.calibration import Reference as Kept
        from real.extrinsics import PICTURES
        from real.pinhole import Pose

        calibration = opened(self.file, self.robot)
        pictures = self._stills(PICTURES)
        camera = calibration.camera(self.camera)
        found = located(self.squares.pattern(), pictures, camera.intrinsics)
        pose = camera.pose
        if self.at is not None:
            x, y, turn = self.at
            pose = Pose.flat(x, y, radians(turn)) @ found.pose.inverse
            if pose.position[2] <= 0:
                raise UsageError("--at: the camera would be below the table; is the board upright?")
        taken = datetime.now(UTC).isoformat(timespec="seconds")
        board = self.squares.pattern()
        kept = Kept(board, found.pose, found.error_px, found.pictures, taken)
        say(told(self.camera, found))
        if pose is not None:
            x, y, z = pose.position
            say(f"  camera at x {x:.3f}, y {y:.3f}, z {z:.3f} m from the arm's base")
        made = replace(camera, pose=pose, reference=kept)
        return saved(calibration.with_camera(self.camera, made), self.file)


@dataclass(frozen=True)
class Check(Pictures):
    """Check that a camera is where it was when the data was collected; 1 if it must be put back.

    The board lies where it lay for the reference.
    """

    def run(self) -> int:
        """Print the shift; return 0, or 1 where it blocks trials."""
        from envs.errors import UsageError
        from real.calibration import Calibration
        from real.extrinsics import PICTURES, shift

        camera = Calibration.load(self.file).camera(self.camera)
        if camera.reference is None:
            raise UsageError(
                f"{self.file}: no reference of {self.camera}; take one while data is collected: "
                f"armtrials calibrate reference --camera {self.camera}"
            )
        pictures = self._stills(PICTURES)
        found = located(camera.reference.board, pictures, camera.intrinsics)
        moved = shift(camera.reference.pose, found.pose)
        say(told(self.camera, found))
        say(f"{moved.verdict.upper()}: {moved}")
        return 1 if moved.verdict == "block" else 0


@dataclass(frozen=True)
class Show:
    """Show what a calibration holds."""

    file: Path = FILE
    """The calibration."""

    def run(self) -> int:
        """Print it; return 0."""
        from real.calibration import Calibration

        found = Calibration.load(self.file)
        say(f"{found.robot}, version {found.version}, hash {found.hash[:12]}")
        say(f"joints: {', '.join(found.joints) or 'nominal'}")
        for name, joint in found.joints.items():
            say(f"  {name}: zero {joint.zero:.4g}, {joint.lower:+.2f} to {joint.upper:+.2f} rad")
        say(f"grippers: {', '.join(found.grippers) or 'nominal'}")
        for name, camera in found.cameras.items():
            lens, reference = camera.intrinsics, camera.reference
            taken = reference.taken if reference else "none"
            placed = "known" if camera.pose else "unknown"
            say(
                f"camera {name}: {lens.width}x{lens.height}, f {lens.fx:.1f} px, error "
                f"{camera.error_px:.2f} px, place {placed}, reference {taken}"
            )
        return 0


def opened(file: Path, robot: str) -> "Calibration":
    """Return the calibration in ``file``, or an empty one of ``robot``."""
    from envs.robots import ROBOTS
    from real.calibration import Calibration

    if file.exists():
        return Calibration.load(file)
    ROBOTS[robot]  # an unknown one is refused, with the known
    return Calibration(robot)


def saved(calibration: "Calibration", file: Path) -> int:
    """Write the next version and say so; return 0."""
    made = calibration.save(file)
    say(f"{file}: version {made.version}, hash {made.hash[:12]}")
    return 0


def located(board: "Pattern", pictures: "dict[str, Array]", lens: "Intrinsics") -> "Located":
    """Return where the board is."""
    from real.charuco import locate

    return locate(board, [*pictures.values()], lens)


def told(camera: str, found: "Located") -> str:
    """Return a line about a board that was found."""
    away = sum(value**2 for value in found.pose.position) ** 0.5
    return (
        f"{camera}: board {away:.3f} m away, tilted {found.tilt:.0f} deg, {found.corners} corners "
        f"in {found.pictures} pictures, error {found.error_px:.2f} px"
    )


def keep(folder: Path, pictures: "dict[str, Array]") -> None:
    """Write pictures into a folder."""
    import io

    from PIL import Image

    from envs.atomic import write_atomic

    for name, picture in pictures.items():
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        write_atomic(folder / name, buffer.getvalue())

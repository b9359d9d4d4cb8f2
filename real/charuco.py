"""A ChArUco board: printed, found in pictures, and what it tells about a camera.

The board's frame has its origin at the lower left corner of the pattern, x along the lower edge, y
up the page and z out of the paper.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from envs.arm import Array
from envs.errors import UsageError
from real.camera_libraries import opencv
from real.pinhole import Intrinsics, Pose

DICTIONARY = "DICT_5X5_100"

LEAST_CORNERS = 8
"""A picture with fewer corners of the board is not used."""

LEAST_TILT = 20.0
"""A board seen more squarely [deg] tells the camera's place badly: depth and turn look alike."""

LEAST_PICTURES = 8
"""So many pictures of different poses make a lens' calibration."""

OUTLIER = 3.0
"""A picture whose error is so many times the median of all is left out."""

FIXED_LENS = 0.02
"""Largest standard deviation of the focal length, as a share of it."""


@dataclass(frozen=True)
class Board:
    """A chess board with ArUco tags in its white squares.

    Attributes:
        columns, rows: squares along x and y.
        square, marker: edge of a square and of a tag [m]; measure them after printing.
    """

    columns: int = 7
    rows: int = 5
    square: float = 0.030
    marker: float = 0.022

    def __post_init__(self) -> None:
        """Refuse what cannot be printed.

        Raises:
            UsageError: fewer than 3 squares, more than the dictionary has tags for, or tags that
                do not fit.
        """
        tags = self.columns * self.rows // 2
        if not (min(self.columns, self.rows) >= 3 and tags <= 100):
            raise UsageError(
                f"a board must have 3 x 3 squares or more and at most 100 tags, got "
                f"{self.columns} x {self.rows}"
            )
        if not 0 < self.marker < self.square <= 0.5:
            raise UsageError(f"tags must be smaller than squares, got {self.marker}, {self.square}")

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the pattern [m]."""
        return self.columns * self.square, self.rows * self.square

    @property
    def points(self) -> Array:
        """Its inner corners (n, 3) in its frame [m], in OpenCV's order: row by row from the top."""
        x = np.arange(1, self.columns) * self.square
        y = (self.rows - np.arange(1, self.rows)) * self.square
        grid = np.stack([*np.meshgrid(x, y), np.zeros((self.rows - 1, self.columns - 1))], axis=-1)
        return np.asarray(grid.reshape(-1, 3))

    def image(self, pixels: int = 100) -> Array:
        """Return the pattern without margin, ``pixels`` a square, (h, w) uint8."""
        size = (self.columns * pixels, self.rows * pixels)
        drawn = self._made(opencv()).generateImage(size, marginSize=0, borderBits=1)
        return np.asarray(drawn, np.uint8)

    def _made(self, cv2: ModuleType) -> Any:  # noqa: ANN401  (cv2.aruco.CharucoBoard)
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, DICTIONARY))
        size = (self.columns, self.rows)
        return cv2.aruco.CharucoBoard(size, self.square, self.marker, dictionary)

    def find(self, image: Array) -> dict[int, Array]:
        """Return the corners seen in ``image`` (h, w, 3) uint8 RGB: number -> (2,) px."""
        cv2 = opencv()
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        corners, numbers, _, _ = cv2.aruco.CharucoDetector(self._made(cv2)).detectBoard(grey)
        if numbers is None:
            return {}
        places = np.reshape(corners, (-1, 2)).astype(float)
        return {int(n): place for n, place in zip(np.ravel(numbers), places, strict=True)}


@dataclass(frozen=True)
class Lens:
    """A calibrated lens.

    Attributes:
        intrinsics: what came of it.
        error_px: by how much corners miss where they were seen [px, rms].
        focal_sd: standard deviation of the focal length, as a share of it.
        used, left_out: pictures by name; the latter with the reason.
    """

    intrinsics: Intrinsics
    error_px: float
    focal_sd: float
    used: tuple[str, ...]
    left_out: Mapping[str, str]


def calibrate_lens(board: Board, pictures: Mapping[str, Array]) -> Lens:
    """Calibrate a lens from pictures (h, w, 3) uint8 RGB of ``board`` in different poses, by name.

    The model is Brown and Conrady's with k1, k2, p1, p2 (k3 = 0: these lenses are not that wide).

    Raises:
        UsageError: pictures of different sizes, too few of the board, or all from one direction.
    """
    sizes = {image.shape[1::-1] for image in pictures.values()}
    if len(sizes) > 1:
        raise UsageError(f"pictures of one camera must have one size, got {sorted(sizes)}")
    found = {name: board.find(image) for name, image in pictures.items()}
    left_out = {
        name: f"{len(corners)} corners of the board" if corners else "no board"
        for name, corners in found.items()
        if len(corners) < LEAST_CORNERS
    }
    used = {name: corners for name, corners in found.items() if name not in left_out}
    _need_pictures(len(used), left_out)
    (width, height) = sizes.pop()
    fit = _fit_lens(board, used, (width, height))
    errors = np.asarray(fit[-1])
    far = errors > OUTLIER * np.median(errors)
    if far.any():
        bad = [name for name, is_far in zip(used, far, strict=True) if is_far]
        left_out |= {name: "its corners do not fit the others' lens" for name in bad}
        used = {name: corners for name, corners in used.items() if name not in bad}
        _need_pictures(len(used), left_out)
        fit = _fit_lens(board, used, (width, height))
    return _lens(fit, (width, height), used, left_out)


Fit = tuple[float, Array, Array, Array, Array]
"""Error [px, rms], camera matrix, distortion, standard deviations, error of each picture [px]."""


def _fit_lens(board: Board, used: Mapping[str, Mapping[int, Array]], size: tuple[int, int]) -> Fit:
    cv2 = opencv()
    points = [board.points[[*seen]].astype(np.float32) for seen in used.values()]
    pixels = [np.array([*seen.values()], np.float32) for seen in used.values()]
    error, matrix, lens, _, _, deviations, _, each = cv2.calibrateCameraExtended(
        points, pixels, size, None, None, flags=cv2.CALIB_FIX_K3
    )
    return float(error), matrix, np.ravel(lens), np.ravel(deviations), np.ravel(each)


def _lens(
    fit: Fit,
    size: tuple[int, int],
    used: Mapping[str, Mapping[int, Array]],
    left_out: Mapping[str, str],
) -> Lens:
    error, matrix, lens, deviations, _ = fit
    share = float(deviations[0] / matrix[0, 0])
    if not share < FIXED_LENS:
        raise UsageError(
            f"the focal length is known to {share:.1%} only; take pictures with the board tilted "
            "by 20 to 45 degrees to all sides, in the middle and in the corners"
        )
    k1, k2, p1, p2 = map(float, lens[:4])
    fx, fy, cx, cy = (float(matrix[i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2)))
    intrinsics = Intrinsics(*size, fx, fy, cx, cy, (k1, k2, p1, p2, 0.0))
    return Lens(intrinsics, error, share, tuple(used), dict(left_out))


def _need_pictures(count: int, left_out: Mapping[str, str]) -> None:
    if count < LEAST_PICTURES:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise UsageError(
            f"{LEAST_PICTURES} pictures of the board or more are needed, usable: {count}"
            + (f" ({why})" if why else "")
        )


@dataclass(frozen=True)
class Located:
    """Where a board is.

    Attributes:
        pose: in the camera's frame.
        error_px: by how much corners miss where they were seen [px, rms].
        tilt: between the board's z and the direction to the camera [deg].
        corners: so many were used.
        pictures: so many were averaged.
    """

    pose: Pose
    error_px: float
    tilt: float
    corners: int
    pictures: int


def locate(board: Board, pictures: Sequence[Array], lens: Intrinsics) -> Located:
    """Return where ``board`` is in pictures of one scene in which nothing moves.

    Corners are averaged over the pictures; one that is seen in less than half of them is left out.

    Raises:
        UsageError: the board is not seen, hidden in part, or seen too squarely; pictures of another
            size than the lens'.
    """
    for image in pictures:
        if image.shape[:2] != (lens.height, lens.width):
            raise UsageError(
                f"pictures must be {lens.width}x{lens.height} px as the lens' calibration, got "
                f"{image.shape[1]}x{image.shape[0]}"
            )
    seen: dict[int, list[Array]] = {}
    for image in pictures:
        for number, place in board.find(image).items():
            seen.setdefault(number, []).append(place)
    often = {
        n: np.mean(places, axis=0) for n, places in seen.items() if 2 * len(places) >= len(pictures)
    }
    if len(often) < LEAST_CORNERS:
        raise UsageError(
            f"the board is seen with {len(often)} of {len(board.points)} corners; lay it flat in "
            "view, clear of the arm, in even light, and give the numbers of squares it really has"
        )
    numbers = sorted(often)
    points = board.points[numbers]
    pixels = np.array([often[number] for number in numbers])
    pose = _solve(points, pixels, lens)
    miss = lens.project(pose.apply(points)) - pixels
    tilt = _tilt(pose, board)
    if tilt < LEAST_TILT:
        raise UsageError(
            f"the board is seen at {tilt:.0f} degrees from square; prop it up so that it is tilted "
            f"by {LEAST_TILT:.0f} degrees or more, otherwise a shift cannot be told from a turn"
        )
    error = float(np.sqrt((miss**2).sum(axis=1).mean()))
    return Located(pose, error, tilt, len(numbers), len(pictures))


def _solve(points: Array, pixels: Array, lens: Intrinsics) -> Pose:
    """Return the pose of coplanar ``points`` (n, 3) seen at ``pixels`` (n, 2)."""
    cv2 = opencv()
    matrix, numbers = lens.matrix, np.array(lens.distortion)
    _, turn, way = cv2.solvePnP(points, pixels, matrix, numbers, flags=cv2.SOLVEPNP_IPPE)
    turn, way = cv2.solvePnPRefineLM(points, pixels, matrix, numbers, turn, way)
    return Pose.of(np.ravel(way), Rotation.from_rotvec(np.ravel(turn)))


def _tilt(pose: Pose, board: Board) -> float:
    """Return the angle between the board's z and the direction from its middle to the camera."""
    middle = pose.apply(np.array([board.size[0] / 2, board.size[1] / 2, 0.0]))
    out = pose.rotation.apply([0.0, 0.0, 1.0])
    cosine = float(out @ -middle) / float(np.linalg.norm(middle))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))

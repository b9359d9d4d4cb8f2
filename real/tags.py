"""Where objects are, from ArUco tags on them that a calibrated camera sees: the real state track.

A tag of a few pixels tells its place well and its tilt badly. Where the picture is explained as
well by an object that stands on the table, it is taken to stand there: three numbers instead of
six. Else, where it may be upright in the air, as a gripper holds it, it is taken to be: four.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from envs.arm import Array
from envs.errors import UsageError
from real.camera_libraries import opencv
from real.pinhole import Intrinsics, Pose

DICTIONARY = "DICT_4X4_50"
"""Of all dictionaries the one with the largest cells: 6 across a tag, border included."""

CELLS = 6
QUIET = 1  # white cells that must surround a tag

WINDOW = 0.6
"""Half of the window in which a corner is refined, in cells of the tag: half as large and twice as
large, corners of a tag 24 px wide are off by twice as much."""

SHRINK_PX = 0.17
"""A corner is found so far inside the black, as pixels average over their area [px]. Measured on
rendered tags of 20 to 40 px; uncorrected, a tag 24 px wide seems a hundredth too far away."""

SLANTED = 0.7
"""A tag that covers less than this share of the largest is seen at a slant, and left out."""

CORNER_PX, CORNER_WEIGHT = 0.12, 8
"""What is known of a corner's error beforehand [px], and how many residuals that is worth."""

STANDS_F = 4.0
"""An object stands on the table, or else is upright, unless an F-test finds it so far off."""

LOST_PX = 3.0
"""Corners that no pose explains better than this are no tags of one object [px, rms]."""

_SIDES: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float, float]]] = {
    "top": ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0, 0.0)),
    "front": ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5, 0.5)),
    "left": ((0.0, 1.0, 0.0), (0.0, 0.0, 0.5**0.5, 0.5**0.5)),
    "back": ((-1.0, 0.0, 0.0), (0.5, 0.5, -0.5, -0.5)),
    "right": ((0.0, -1.0, 0.0), (0.5**0.5, 0.5**0.5, 0.0, 0.0)),
}
"""Sides of a box: the way out, and the turn of a tag that stands upright on it."""


@dataclass(frozen=True)
class Tag:
    """A tag on an object.

    Attributes:
        id: its number in the dictionary.
        size: edge of its black square [m].
        mount: its middle in the object's frame; z points out of the paper, y to its upper edge.
    """

    id: int
    size: float
    mount: Pose

    def __post_init__(self) -> None:
        """Refuse numbers that the dictionary does not have.

        Raises:
            UsageError: the id or the size is none.
        """
        if not (0 <= self.id < 50 and self.size > 0):
            raise UsageError(f"a tag must have an id 0..49 and a size, got {self.id}, {self.size}")

    @property
    def corners(self) -> Array:
        """Its corners in the object's frame (4, 3) [m], clockwise from the upper left."""
        half = self.size / 2
        flat = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])
        return self.mount.apply(flat)


@dataclass(frozen=True)
class TaggedObject:
    """An object with its tags.

    Attributes:
        name: as in observations.
        tags: on it.
        stands: height of its origin above the table when it stands there [m]; None if it is never
            upright.
    """

    name: str
    tags: tuple[Tag, ...]
    stands: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "TaggedObject":
        """Restore from ``to_json``."""
        tags = tuple(
            Tag(int(tag["id"]), float(tag["size"]), Pose.from_array(
                [*tag["mount"]["position"], *tag["mount"]["quaternion"]]
            ))
            for tag in data["tags"]
        )  # fmt: skip
        stands = data.get("stands")
        return cls(str(data["name"]), tags, None if stands is None else float(stands))


@dataclass(frozen=True)
class Sighting:
    """Where an object is.

    Attributes:
        pose: in the arm's frame.
        error_px: by how much its corners miss where they were seen [px, rms].
        tags: numbers of the tags that were seen.
        stands: whether it was taken to stand on the table.
    """

    pose: Pose
    error_px: float
    tags: tuple[int, ...]
    stands: bool


def tagged_box(
    name: str, half: Sequence[float], first: int, size: float, sides: Sequence[str] = tuple(_SIDES)
) -> TaggedObject:
    """Return a box with a tag in the middle of each of its ``sides``, numbered from ``first``.

    Args:
        name: of the object.
        half: half extents (3,) [m].
        first: number of the first tag.
        size: edge of each tag's black square [m]; a white margin of a sixth must fit around it.
        sides: of top, front (+x), left (+y), back and right.
    """
    tags = []
    for number, side in enumerate(sides, first):
        out, turn = _SIDES[side]
        x, y, z = (float(h * o) for h, o in zip(half, out, strict=True))
        tags.append(Tag(number, size, Pose((x, y, z), turn)))
    return TaggedObject(name, tuple(tags), float(half[2]))


def read_objects(path: Path) -> tuple[TaggedObject, ...]:
    """Read tagged objects from a JSON file: a list of what ``TaggedObject.to_json`` returns.

    Raises:
        UsageError: it cannot be read, or a tag is on two objects.
    """
    try:
        objects = tuple(TaggedObject.from_json(item) for item in json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: no list of tagged objects: {error}") from error
    _check_ids(objects)
    return objects


def _check_ids(objects: Sequence[TaggedObject]) -> None:
    ids = [tag.id for item in objects for tag in item.tags]
    twice = sorted({number for number in ids if ids.count(number) > 1})
    if twice:
        raise UsageError(f"each tag must be on one object only, got twice: {twice}")


def tag_image(number: int, cell: int = 40) -> Array:
    """Return a tag with its white margin, to print or to draw, (8 cell, 8 cell) uint8."""
    cv2 = opencv()
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, DICTIONARY))
    black = cv2.aruco.generateImageMarker(dictionary, number, CELLS * cell)
    return np.pad(np.asarray(black, np.uint8), QUIET * cell, constant_values=255)


class TagFinder:
    """Finds tagged objects in pictures of one camera."""

    def __init__(
        self, objects: Sequence[TaggedObject], lens: Intrinsics, camera: Pose, table: float = 0.0
    ) -> None:
        """Prepare to find ``objects``.

        Args:
            objects: what may be seen.
            lens: of the camera.
            camera: where it is in the arm's frame.
            table: height of the table in the arm's frame [m].

        Raises:
            UsageError: OpenCV is missing, or a tag is on two objects.
        """
        _check_ids(objects)
        cv2 = self._cv2 = opencv()
        self._objects, self._lens, self._camera = tuple(objects), lens, camera
        self._table, self._eye = table, camera.inverse
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, DICTIONARY))
        settings = cv2.aruco.DetectorParameters()
        settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        settings.minMarkerPerimeterRate = 0.015
        settings.relativeCornerRefinmentWinSize = WINDOW
        self._detector = cv2.aruco.ArucoDetector(dictionary, settings)
        self._lens_numbers = np.array(lens.distortion)

    def find(self, image: Array) -> dict[str, Sighting]:
        """Return the objects seen in ``image`` (h, w, 3) uint8 RGB, by name.

        Raises:
            ValueError: the picture is not of the camera's size.
        """
        if image.shape[:2] != (self._lens.height, self._lens.width):
            wanted = f"{self._lens.width}x{self._lens.height}"
            raise ValueError(f"a picture must be {wanted} px, got {image.shape[1::-1]}")
        grey = self._cv2.cvtColor(image, self._cv2.COLOR_RGB2GRAY)
        corners, ids, _ = self._detector.detectMarkers(grey)
        numbers = [] if ids is None else [int(number) for number in np.ravel(ids)]
        seen = {n: _outward(np.reshape(c, (4, 2))) for n, c in zip(numbers, corners, strict=True)}
        found = {}
        for item in self._objects:
            sighting = self._locate(item, _upright(item.tags, seen), seen)
            if sighting is not None:
                found[item.name] = sighting
        return found

    def _locate(
        self, item: TaggedObject, tags: list[Tag], seen: Mapping[int, Array]
    ) -> Sighting | None:
        if not tags:
            return None
        points = np.concatenate([tag.corners for tag in tags])
        pixels = np.concatenate([seen[tag.id] for tag in tags])
        numbers = tuple(tag.id for tag in tags)
        poses = [pose for tag in tags for pose in self._free(tag, seen[tag.id], points, pixels)]
        errors = [self._error(pose, points, pixels) for pose in poses]
        if not poses or min(errors) > LOST_PX:
            return None
        best = int(np.argmin(errors))
        for height, less in ((item.stands, 3), (None, 2)):
            if item.stands is None:
                break
            pose = self._upright(poses[best], height, points, pixels)
            error = self._error(pose, points, pixels)
            if _explains(error, errors[best], len(points), less):
                return Sighting(pose, error, numbers, stands=height is not None)
        return Sighting(poses[best], errors[best], numbers, stands=False)

    def _free(self, tag: Tag, corners: Array, points: Array, pixels: Array) -> list[Pose]:
        """Return the two poses that one tag allows, each fitted to all corners of the object."""
        cv2, matrix, lens = self._cv2, self._lens.matrix, self._lens_numbers
        square = Tag(tag.id, tag.size, Pose()).corners
        _, turns, ways, _ = cv2.solvePnPGeneric(
            square, corners, matrix, lens, flags=cv2.SOLVEPNP_IPPE_SQUARE
        )
        poses = []
        for turn, way in zip(turns, ways, strict=True):
            start = _pose(cv2, turn, way) @ tag.mount.inverse
            vector, place = start.rotation.as_rotvec(), np.array(start.position)
            vector, place = cv2.solvePnPRefineLM(
                points, pixels, matrix, lens, vector.reshape(3, 1), place.reshape(3, 1)
            )
            poses.append(self._camera @ _pose(cv2, vector, place))
        return poses

    def _upright(self, near: Pose, height: float | None, points: Array, pixels: Array) -> Pose:
        """Return the upright pose that fits best: on the table, or without ``height`` anywhere."""
        eye, place = np.array(self._camera.position), np.array(near.position)
        z = place[2] if height is None else self._table + height
        along = place - eye
        start = eye + along * ((z - eye[2]) / along[2] if abs(along[2]) > 1e-6 else 1.0)

        def pose(x: Array) -> Pose:
            return Pose.flat(x[0], x[1], x[2], x[3] if height is None else z)

        def miss(x: Array) -> Array:
            return np.ravel(self._project(pose(x), points) - pixels)

        first = [start[0], start[1], near.yaw, *([z] if height is None else [])]
        scale = [0.01, 0.01, 0.1, 0.01][: len(first)]
        return pose(least_squares(miss, first, x_scale=scale).x)

    def _project(self, pose: Pose, points: Array) -> Array:
        return np.nan_to_num(self._lens.project((self._eye @ pose).apply(points)), nan=1e6)

    def _error(self, pose: Pose, points: Array, pixels: Array) -> float:
        miss = self._project(pose, points) - pixels
        return float(np.sqrt((miss**2).sum(axis=1).mean()))


def _outward(corners: Array) -> Array:
    """Return a tag's corners (4, 2) [px] where they are, from where they were found."""
    out = corners - corners.mean(axis=0)
    return np.asarray(corners + SHRINK_PX * out / np.linalg.norm(out, axis=1, keepdims=True))


def _upright(tags: Sequence[Tag], seen: Mapping[int, Array]) -> list[Tag]:
    """Return those of ``tags`` that are seen, but for those at a slant."""
    areas = {}
    for tag in tags:
        if tag.id in seen:
            across, along = np.diff(seen[tag.id][[0, 2, 1, 3]], axis=0)[[0, 2]]
            areas[tag] = abs(float(across[0] * along[1] - across[1] * along[0])) / 2
    return [tag for tag, area in areas.items() if area >= SLANTED * max(areas.values())]


def _explains(upright: float, free: float, corners: int, less: int) -> bool:
    """Tell whether ``less`` numbers less than six explain as much, by the errors [px, rms]."""
    more, rest = corners * (upright**2 - free**2), corners * free**2
    variance = (rest + CORNER_WEIGHT * CORNER_PX**2) / (2 * corners - 6 + CORNER_WEIGHT)
    return more / less <= STANDS_F * variance


def _pose(cv2: Any, turn: Array, way: Array) -> Pose:  # noqa: ANN401  (the module)
    matrix, _ = cv2.Rodrigues(turn)
    return Pose.of(np.ravel(way), Rotation.from_matrix(matrix))

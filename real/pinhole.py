"""Where things are and where a camera sees them: poses, and the pinhole camera with its lens.

A camera looks along its z, x to the right, y down, as in OpenCV and librealsense; the middle of the
upper left pixel is (0, 0).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from envs.arm import Array

FROM_MUJOCO = (0.0, 1.0, 0.0, 0.0)
"""Quaternion between a camera's axes here and MuJoCo's, where it looks along -z with y up."""


@dataclass(frozen=True)
class Pose:
    """Where a frame lies in another: ``position`` [m] and unit ``quaternion`` wxyz.

    ``a_b @ b_c`` is where c lies in a.
    """

    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quaternion: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Refuse what is no pose."""
        numbers = np.array([*self.position, *self.quaternion])
        if numbers.shape != (7,) or not np.isfinite(numbers).all():
            raise ValueError(f"a pose must be 3 + 4 finite numbers, got {self}")
        if abs(np.linalg.norm(numbers[3:]) - 1) > 1e-3:
            raise ValueError(f"the quaternion of a pose must have length 1, got {self.quaternion}")
        object.__setattr__(self, "position", tuple(map(float, self.position)))
        object.__setattr__(self, "quaternion", tuple(map(float, self.quaternion)))

    @classmethod
    def of(cls, position: Array, rotation: Rotation) -> "Pose":
        """Make one of a position (3,) and a rotation; w is never negative."""
        x, y, z, w = map(float, rotation.as_quat(canonical=True))
        a, b, c = map(float, position)
        return cls((a, b, c), (w, x, y, z))

    @classmethod
    def flat(cls, x: float, y: float, yaw: float, z: float = 0.0) -> "Pose":
        """Return the pose of something upright at x, y, z [m], turned by ``yaw`` [rad]."""
        return cls.of(np.array([x, y, z]), Rotation.from_euler("z", yaw))

    @classmethod
    def from_array(cls, numbers: Any) -> "Pose":  # noqa: ANN401  (any seven numbers)
        """Make one of seven numbers: position and quaternion wxyz."""
        a = [float(value) for value in numbers]
        if len(a) != 7:
            raise ValueError(f"a pose must have 7 numbers, got {len(a)}")
        return cls((a[0], a[1], a[2]), (a[3], a[4], a[5], a[6]))

    @property
    def array(self) -> Array:
        """Position and quaternion wxyz (7,)."""
        return np.array([*self.position, *self.quaternion])

    @property
    def rotation(self) -> Rotation:
        """How it is turned."""
        w, x, y, z = self.quaternion
        return Rotation.from_quat([x, y, z, w])

    @property
    def inverse(self) -> "Pose":
        """Where the other frame lies in this one."""
        back = self.rotation.inv()
        return Pose.of(-back.apply(self.position), back)

    @property
    def yaw(self) -> float:
        """Its turn about z [rad]."""
        w, x, y, z = self.quaternion
        return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))

    def __matmul__(self, other: "Pose") -> "Pose":
        """Return where ``other``, given in this frame, lies in the frame that this is given in."""
        return Pose.of(self.apply(np.array(other.position)), self.rotation * other.rotation)

    def apply(self, points: Array) -> Array:
        """Return points (..., 3) of this frame in the frame that it is given in."""
        flat = np.asarray(points, float).reshape(-1, 3)
        moved: Array = self.rotation.apply(flat) + np.array(self.position)
        return moved.reshape(np.shape(points))

    def distance(self, other: "Pose") -> float:
        """Return how far apart the two are [m]."""
        return float(np.linalg.norm(np.subtract(self.position, other.position)))

    def angle(self, other: "Pose") -> float:
        """Return the angle between the two [rad]."""
        return float((self.rotation.inv() * other.rotation).magnitude())


@dataclass(frozen=True)
class Intrinsics:
    """What a camera makes of directions.

    Attributes:
        width, height: size of the picture [px].
        fx, fy: focal lengths [px].
        cx, cy: principal point [px].
        distortion: k1, k2, p1, p2, k3 of Brown and Conrady, as OpenCV orders them.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Refuse numbers that no lens has."""
        numbers = [self.fx, self.fy, self.cx, self.cy, *self.distortion]
        if not np.isfinite(numbers).all() or len(self.distortion) != 5:
            raise ValueError(f"intrinsics must be finite, with 5 of distortion, got {self}")
        if min(self.width, self.height, self.fx, self.fy) <= 0:
            raise ValueError(f"size and focal lengths must be positive, got {self}")

    @classmethod
    def simulated(cls, width: int, height: int, fovy: float) -> "Intrinsics":
        """Return those of a MuJoCo camera whose picture spans ``fovy`` [deg] from top to bottom."""
        focal = height / 2 / float(np.tan(np.radians(fovy) / 2))
        return cls(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Intrinsics":
        """Restore from the JSON form of its fields."""
        return cls(**{**data, "distortion": tuple(data["distortion"])})

    @property
    def fovy(self) -> float:
        """Angle from the top to the bottom of the picture [deg]."""
        return float(np.degrees(2 * np.arctan(self.height / 2 / self.fy)))

    @property
    def matrix(self) -> Array:
        """The camera matrix (3, 3)."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def project(self, points: Array) -> Array:
        """Return where points (n, 3) [m] in the camera's frame appear (n, 2) [px].

        Points that are not in front of it appear at nan.
        """
        z = np.where(points[:, 2] > 1e-6, points[:, 2], np.nan)
        x, y = points[:, 0] / z, points[:, 1] / z
        k1, k2, p1, p2, k3 = self.distortion
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        return np.stack([self.fx * u + self.cx, self.fy * v + self.cy], axis=1)

"""Inverse kinematics by damped least squares, and small geometry of orientations."""

import mujoco
import numpy as np

from envs.arm import Array
from envs.world import World

DAMPING = 0.005  # of the least squares, squared length scale [m^2]; about that of mink's default
TURN_WEIGHT = 0.3  # metres that a radian of orientation error counts for
# With fewer than six joints not every orientation can be had: the position comes first.
WEAK_TURN_WEIGHT = 0.03
MAX_STEP = 0.3  # largest joint change of one iteration [rad]


class Kinematics:
    """Solves for joint angles of a world's arm on a scratch copy of its data.

    Differential inverse kinematics: dq = J^T (J J^T + d I)^-1 e, iterated (Wampler 1986).
    """

    def __init__(self, world: World, site: str = "tcp", part: int = 0) -> None:
        """Prepare for ``site``, by default the tool centre point, of one of the robot's arms."""
        arm = world.parts[part]
        self.model = world.model
        self.data = mujoco.MjData(self.model)
        self.site = self.model.site(f"{arm.prefix}{site}").id
        self.qpos, self.qvel = arm.qpos, arm.qvel
        self.lower = np.array(world.arm.lower[arm.hinges])
        self.upper = np.array(world.arm.upper[arm.hinges])
        self.turn_weight = TURN_WEIGHT if len(self.lower) >= 6 else WEAK_TURN_WEIGHT
        self._jac = np.zeros((6, self.model.nv))
        self._error = np.zeros(6)
        self._damping = DAMPING**2 * 10 * np.eye(6)

    def forward(self, q: Array) -> tuple[Array, Array]:
        """Return position (3,) m and quaternion (4,) of the site at joint angles ``q``."""
        self._place(q)
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, self.data.site_xmat[self.site])
        return self.data.site_xpos[self.site].copy(), quat

    def solve(self, q: Array, pos: Array, quat: Array, iterations: int = 6) -> Array:
        """Return joint angles near ``q`` that bring the site to ``pos`` and ``quat``."""
        q = q.copy()
        for _ in range(iterations):
            error = self._pose_error(q, pos, quat)
            if np.abs(error).max() < 1e-4:
                break
            mujoco.mj_jacSite(self.model, self.data, self._jac[:3], self._jac[3:], self.site)
            jac = self._jac[:, self.qvel].copy()
            jac[3:] *= self.turn_weight
            step = jac.T @ np.linalg.solve(jac @ jac.T + self._damping, error)
            q = np.clip(q + np.clip(step, -MAX_STEP, MAX_STEP), self.lower, self.upper)
        return q

    def _place(self, q: Array) -> None:
        self.data.qpos[self.qpos] = q
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)

    def _pose_error(self, q: Array, pos: Array, quat: Array) -> Array:
        here, turned = self.forward(q)
        self._error[:3] = pos - here
        difference, inverse = np.zeros(4), np.zeros(4)
        mujoco.mju_negQuat(inverse, turned)
        mujoco.mju_mulQuat(difference, quat, inverse)
        mujoco.mju_quat2Vel(self._error[3:], difference, 1.0)
        self._error[3:] *= self.turn_weight
        return self._error


def yaw_of(quat: Array) -> float:
    """Return the rotation about z of a quaternion wxyz [rad]."""
    w, x, y, z = quat
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def pointing_down(yaw: float, lean: float = 0.0, outward: float = 0.0) -> Array:
    """Return the gripper's orientation wxyz: approach axis x down, fingers turned by ``yaw``.

    With ``lean`` the approach axis points away from the base by that angle, in the upright plane at
    azimuth ``outward``; then the fingers are turned about that axis (all in rad).
    """
    half = (np.pi / 2 - lean) / 2
    tilt = np.array([np.cos(half), 0.0, np.sin(half), 0.0])
    turn = yaw if lean == 0.0 else outward
    quat = np.zeros(4)
    mujoco.mju_mulQuat(quat, np.array([np.cos(turn / 2), 0.0, 0.0, np.sin(turn / 2)]), tilt)
    if lean != 0.0:
        roll = (outward - yaw) / 2
        mujoco.mju_mulQuat(quat, quat.copy(), np.array([np.cos(roll), np.sin(roll), 0.0, 0.0]))
    return quat


def nearest_quarter(yaw: float, wanted: float) -> float:
    """Return ``yaw`` plus the multiple of 90 degrees that brings it nearest to ``wanted``."""
    return float(yaw + np.round((wanted - yaw) / (np.pi / 2)) * np.pi / 2)


def rotated(quat: Array, vector: Array) -> Array:
    """Return ``quat`` (4,) turned about ``vector`` (3,), given in the world's axes [rad]."""
    angle = float(np.linalg.norm(vector))
    turn, turned = np.zeros(4), np.zeros(4)
    axis = vector / angle if angle > 0 else np.array([0.0, 0.0, 1.0])
    mujoco.mju_axisAngle2Quat(turn, axis, angle)
    mujoco.mju_mulQuat(turned, turn, quat)
    mujoco.mju_normalize4(turned)
    return turned


def rotation(start: Array, end: Array) -> Array:
    """Return the rotation vector (3,) in the world's axes that turns ``start`` to ``end`` [rad]."""
    inverse, between, vector = np.zeros(4), np.zeros(4), np.zeros(3)
    mujoco.mju_negQuat(inverse, start)
    mujoco.mju_mulQuat(between, end, inverse)
    if between[0] < 0:  # the short way round
        between = -between
    mujoco.mju_quat2Vel(vector, between, 1.0)
    return vector

"""A twin's mechanics behind emulated motors: MuJoCo turns their shafts, and tells the truth.

The truth is a side channel for those who judge the twin (``Truth``): what lies where, without
noise, delay or wire. No driver reads it.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from envs.arm import Array, InitialCondition
from envs.gap import NONE, Gap
from envs.tasks import TASKS
from envs.twin import TwinScene, Way
from real.dynamixel_arms import PER_RADIAN, WIRINGS, Motor
from real.dynamixel_models import Model, model
from real.emulators.dynamixel_plant import Drive, Motion
from real.emulators.dynamixel_servo import Setup
from real.openarm import OPENARM_RIGHT
from real.shared_block import SharedBlock

LEASH = 0.3
"""How far ahead of a joint a drive of constant speed may aim [rad]."""

START_BYTES = 32_768
"""Room for the JSON form of a start."""


@dataclass(frozen=True)
class Scenery:
    """Which scene is behind the motors.

    Attributes:
        task: registered task.
        robot: registered arm.
        truth: file of the truth.
        gap: how the arm differs from the simulated one.
        seed: of the sensors' noise.
    """

    task: str
    robot: str
    truth: Path
    gap: Gap = NONE
    seed: int = 0

    def __call__(self, made: Sequence[Setup]) -> "DynamixelTwinPlant":
        """Make the mechanics for Dynamixel servos."""
        return DynamixelTwinPlant(self, made)


class TwinPlant:
    """A scene that publishes its truth whenever physics went on."""

    def __init__(self, scenery: Scenery) -> None:
        """Build the scene and its truth, arm asleep."""
        s = scenery
        self.scene = TwinScene(TASKS[s.task], s.robot, s.gap, s.seed)
        model = self.scene.model
        fields = {
            "stamp": (1,), "time": (1,), "begun": (1,), "qpos": (model.nq,), "qvel": (model.nv,),
            "zones": (model.nmocap, 3), "sensors": (model.nsensordata,),
            "joints": (self.scene.world.arm.n,), "target": (self.scene.world.arm.n,),
        }  # fmt: skip
        self._block = SharedBlock.create(s.truth, fields, START_BYTES)
        self.set_up(self.scene.start)

    def set_up(self, start: InitialCondition) -> None:
        """Put the things on the table where ``start`` says; see ``TwinScene.set_up``."""
        self.scene.set_up(start)
        self._publish(json.dumps(start.to_json()))

    def let_pass(self, dt: float) -> None:
        """Let ``dt`` [s] pass under the drives that are set."""
        before = self.scene.time
        self.scene.advance(dt)
        if self.scene.time != before:
            self._publish()

    def _publish(self, text: str | None = None) -> None:
        scene = self.scene
        w, data = scene.world, scene.data
        self._block.write(
            text,
            stamp=time.monotonic(),
            time=scene.time,
            begun=scene.begun,
            qpos=data.qpos,
            qvel=data.qvel,
            zones=data.mocap_pos,
            sensors=data.sensordata,
            joints=(data.qpos[w.qpos] - w.offset) / w.scale,
            target=scene.target,
        )


@dataclass(frozen=True)
class _Shaft:
    """How a servo sits on its joint: its side (+1, -1), its data."""

    joint: Motor
    column: int
    side: float
    data: Model


class DynamixelTwinPlant(TwinPlant):
    """A scene behind a chain of Dynamixel servos; a ``Plant``."""

    def __init__(self, scenery: Scenery, made: Sequence[Setup]) -> None:
        """Put the servos ``made`` on the joints of the scene."""
        super().__init__(scenery)
        joints = WIRINGS[scenery.robot].motors
        self.shafts = [
            _Shaft(joints[s.axis], s.axis, -1.0 if s.mirrored else 1.0, model(s.model))
            for s in made
        ]

    def step(self, drives: Sequence[Drive], dt: float) -> list[Motion]:
        """Let ``dt`` [s] pass under ``drives``, in the order of the chain."""
        scene = self.scene
        scene.way[:], scene.force[:], scene.most[:] = Way.OFF, 0.0, 0.0
        pulling = np.zeros(scene.world.arm.n)
        for shaft, drive in zip(self.shafts, drives, strict=True):
            if drive.kind != "off":
                self._drive(shaft, drive, dt)
                pulling[shaft.column] += 1
        self.let_pass(dt)
        return [
            self._sensed(shaft, drive, pulling)
            for shaft, drive in zip(self.shafts, drives, strict=True)
        ]

    def _ratio(self, shaft: _Shaft) -> float:
        """Return by how much the joint moves as the servo turns [rad/rad; of a gripper 1/rad]."""
        ticks = shaft.joint.ticks(float(self.scene.positions[shaft.column]))
        return shaft.side * shaft.joint.slope(ticks) * PER_RADIAN

    def _drive(self, shaft: _Shaft, drive: Drive, dt: float) -> None:
        """Add what one servo asks of its joint; two on a joint pull together."""
        scene, k, ratio = self.scene, shaft.column, self._ratio(shaft)
        constant = shaft.data.torque_constant
        if drive.kind in ("position", "velocity"):
            scene.way[k] = Way.POSITION
            scene.most[k] += drive.current * constant / abs(ratio)
            if drive.kind == "position":
                scene.target[k] = shaft.joint.value(2048 + shaft.side * drive.target * PER_RADIAN)
            else:
                ahead = scene.target[k] + drive.target * ratio * dt
                here = scene.positions[k]
                scene.target[k] = np.clip(ahead, here - LEASH, here + LEASH)
            return
        scene.way[k] = Way.FORCE
        torque = drive.target * constant
        if drive.kind == "pwm":  # what the back EMF leaves
            free = shaft.data.free_rpm * 2 * np.pi / 60
            speed = float(scene.speeds[k]) / ratio
            torque = shaft.data.stall_torque * (drive.target - speed / free)
        scene.force[k] += torque / ratio

    def _sensed(self, shaft: _Shaft, drive: Drive, pulling: Array) -> Motion:
        scene, k, ratio = self.scene, shaft.column, self._ratio(shaft)
        ticks = _fine_ticks(shaft.joint, float(scene.positions[k]))
        angle = shaft.side * (ticks - 2048) / PER_RADIAN
        current = 0.0
        if drive.kind != "off":
            torque = float(scene.forces[k]) * ratio / max(pulling[k], 1.0)
            current = torque / shaft.data.torque_constant
        return Motion(angle, float(scene.speeds[k]) / ratio, current)


def _fine_ticks(joint: Motor, value: float) -> float:
    """Return a joint's position in ticks, not rounded."""
    near = joint.ticks(value)
    return near + (value - joint.value(near)) / joint.slope(near)


class DamiaoTwinPlant(TwinPlant):
    """A scene behind the motors of an OpenArm's right arm; their plant.

    Attributes:
        q, dq: angles [rad] and velocities [rad/s] of the shafts (m,).
    """

    def __init__(self, scenery: Scenery) -> None:
        """Put the motors on the joints of the scene; what gravity asks for, they must bring."""
        super().__init__(scenery)
        self.scene.feel_gravity()
        self._scale = np.array([motor.scale for motor in OPENARM_RIGHT])
        self._offset = np.array([motor.offset for motor in OPENARM_RIGHT])
        self._sense()

    def step(self, torque: Array, dt: float) -> None:
        """Let ``dt`` [s] pass under torques (m,) [N m]."""
        self.scene.way[:] = Way.FORCE
        self.scene.force[:] = torque * self._scale
        self.let_pass(dt)
        self._sense()

    def _sense(self) -> None:
        self.q: Array = self.scene.positions * self._scale + self._offset
        self.dq: Array = self.scene.speeds * self._scale

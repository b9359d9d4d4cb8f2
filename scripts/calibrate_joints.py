"""The step of `armtrials calibrate` that is about joints: a person moves the arm, torque off."""

import select
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.calibrate_camera import FILE, opened, saved
from scripts.calibrate_prints import say

if TYPE_CHECKING:
    from envs.arm import Array
    from real.joint_calibration import Motors, Swept

Read = Callable[[], "Array"]


@dataclass(frozen=True)
class Joints:
    """Measure zeros and ranges of the joints and the gripper's map; you move the arm by hand.

    The torque is off: hold the arm, it falls. Bring it into the pose that is named, then move every
    joint to both ends, then close and open the gripper; Enter ends each step.
    """

    port: str
    """Serial port, such as /dev/ttyUSB0; of an openarm the CAN channel, such as can0."""
    robot: str = "viperx"
    """Arm: viperx, koch, koch_leader or openarm."""
    pose: str = "sleep"
    """Pose whose angles are known: sleep, home or zero."""
    interface: str = "socketcan"
    """Of python-can, for an openarm."""
    file: Path = FILE
    """The calibration."""

    def run(self) -> int:
        """Write the next version of the file; return 0."""
        from real.address import ArmAddress
        from real.connect import connect_motors
        from real.joint_calibration import gripper_of, joints_of, motors_of

        motors = motors_of(self.robot)
        self._check_pose(motors)
        known = opened(self.file, self.robot)
        known.check_robot(self.robot)
        read, close = connect_motors(ArmAddress(self.robot, self.port, self.interface))
        try:
            rest = _resting(read, motors, self._wanted(motors))
            swept = _swept(read, motors)
            closed = _resting(read, motors, "Close the gripper fully")
            wide = _resting(read, motors, "Open the gripper fully")
        finally:
            close()
        joints = joints_of(motors, self.pose, rest, swept)
        gripper = gripper_of(motors, float(closed[-1]), float(wide[-1]))
        for name, joint in joints.items():
            say(f"  {name}: zero {joint.zero:.4g}, {joint.lower:+.2f} to {joint.upper:+.2f} rad")
        (shut, _), *_, (full, _) = gripper.opening
        name = motors.spec.joints[-1]
        say(f"  {name}: closed {shut:.4g}, open {full:.4g}")
        made = replace(known, joints={**known.joints, **joints}, grippers={name: gripper})
        return saved(made, self.file)

    def _check_pose(self, motors: "Motors") -> None:
        from envs.errors import UsageError

        if self.pose not in motors.poses:
            poses = ", ".join(motors.poses)
            raise UsageError(f"unknown pose {self.pose!r}; known of {self.robot}: {poses}")

    def _wanted(self, motors: "Motors") -> str:
        pairs = zip(motors.spec.joints[:-1], motors.poses[self.pose], strict=False)
        angles = ", ".join(f"{name} {angle:+.2f}" for name, angle in pairs)
        return f"Bring the arm into the pose {self.pose} and hold it still ({angles} rad)"


def _resting(read: Read, motors: "Motors", text: str) -> "Array":
    """Ask for a pose until the arm rests in it; return the motors' positions."""
    from envs.errors import UsageError
    from real.joint_calibration import at_rest

    while True:
        say(f"{text}; then Enter.")
        while not entered(0.1):
            read()
        try:
            return at_rest(read, motors)
        except UsageError as error:
            say(f"  {error}")


def _swept(read: Read, motors: "Motors") -> "Swept":
    """Watch the joints while they are moved, until Enter."""
    from real.joint_calibration import Swept

    say("Move every joint slowly to both ends of its range; then Enter.")
    swept = Swept(read())
    while not entered(0.02):
        swept.add(read())
        turned = (swept.most - swept.least) / motors.per_radian
        pairs = zip(motors.spec.joints[:-1], turned, strict=False)
        shown = "  ".join(f"{name} {way:.2f}" for name, way in pairs)
        sys.stderr.write(f"\r  moved [rad]: {shown} ")
    sys.stderr.write("\n")
    return swept


def entered(wait_s: float) -> bool:
    """Tell whether Enter is pressed within ``wait_s``; a closed terminal is an error.

    Raises:
        UsageError: nobody can press it any more.
    """
    from envs.errors import UsageError

    if not select.select([sys.stdin], [], [], wait_s)[0]:
        return False
    if not sys.stdin.readline():
        raise UsageError("the terminal was closed: nothing was written")
    return True

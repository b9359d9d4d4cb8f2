"""The arms that are known by name."""

from envs.koch import KOCH
from envs.openarm import OPENARM
from envs.registry import Registry
from envs.robot_model import RobotModel
from envs.viperx import VIPERX

__all__ = ["ROBOTS", "RobotModel"]

ROBOTS: Registry[RobotModel] = Registry("arm")
for _robot in (VIPERX, KOCH, OPENARM):
    ROBOTS.register(_robot.name, _robot)

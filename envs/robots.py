"""The arms that are known by name."""

from envs.koch import KOCH
from envs.openarm import OPENARM
from envs.registry import Registry
from envs.robot_model import Robot, RobotModel
from envs.robot_pair import VIPERX_PAIR
from envs.viperx import VIPERX

__all__ = ["ROBOTS", "Robot", "RobotModel"]

ROBOTS: Registry[Robot] = Registry("arm")
for _robot in (VIPERX, KOCH, OPENARM, VIPERX_PAIR):
    ROBOTS.register(_robot.name, _robot)

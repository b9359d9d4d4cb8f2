"""The arms that are known by name."""

from envs.registry import Registry
from envs.robot_model import RobotModel
from envs.viperx import VIPERX

__all__ = ["ROBOTS", "RobotModel"]

ROBOTS: Registry[RobotModel] = Registry("arm")
ROBOTS.register(VIPERX.name, VIPERX)

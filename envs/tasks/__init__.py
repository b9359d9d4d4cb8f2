"""The tasks, by name."""

from envs.registry import Registry
from envs.task import Task
from envs.tasks.language_pick import LanguagePick
from envs.tasks.pick_place import PickPlace
from envs.tasks.two_ways import TwoWays

TASKS: Registry[Task] = Registry("task")
for _task in (PickPlace(), LanguagePick(), TwoWays()):
    TASKS.register(_task.name, _task)

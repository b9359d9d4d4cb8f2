"""The tasks, by name."""

from envs.registry import Registry
from envs.task import Task
from envs.tasks.assembly import Assembly
from envs.tasks.insertion import Insertion, LooseInsertion, TightInsertion
from envs.tasks.pick_place import PickPlace

TASKS: Registry[Task] = Registry("task")
for _task in (PickPlace(), Insertion(), LooseInsertion(), TightInsertion(), Assembly()):
    TASKS.register(_task.name, _task)

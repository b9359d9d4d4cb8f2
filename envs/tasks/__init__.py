"""The tasks, by name."""

from envs.registry import Registry
from envs.task import Task
from envs.tasks.assembly import Assembly
from envs.tasks.insertion import Insertion, LooseInsertion, TightInsertion
from envs.tasks.insertion_pair import InsertionPair
from envs.tasks.language_pick import LanguagePick
from envs.tasks.pick_place import PickPlace
from envs.tasks.pour import Pour
from envs.tasks.transfer import Transfer
from envs.tasks.two_ways import TwoWays
from envs.tasks.wipe import Wipe

TASKS: Registry[Task] = Registry("task")
for _task in (
    PickPlace(),
    Transfer(),
    Insertion(),
    LooseInsertion(),
    TightInsertion(),
    InsertionPair(),
    Assembly(),
    LanguagePick(),
    TwoWays(),
    Wipe(),
    Pour(),
):
    TASKS.register(_task.name, _task)

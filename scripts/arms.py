"""Opening a real arm, or its twin, as a command's options say."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envs.collection import Collection
    from real.address import ArmAddress
    from real.emulators.twin import ClockTwin, Twin
    from real.real_arm import RealArm
    from real.real_senses import Eyes

OPENARM = "openarm"


@dataclass(frozen=True)
class Place:
    """Which arm, and how it sees.

    Attributes:
        port: serial port or CAN channel; empty for the twin.
        interface: of python-can, for an OpenArm.
        twin: whether it is the twin.
        own_clock: whether the twin lives on a clock of its own.
        patient: whether emulated motors are waited for longer than real ones.
        objects: of a twin: ``truth`` or ``tags``.
        cameras: of an arm: name=source.
        tags: of an arm: file of tagged objects.
        calibration: file of an arm.
    """

    port: str = ""
    interface: str = "socketcan"
    twin: bool = False
    own_clock: bool = False
    patient: bool = False
    objects: str = "truth"
    cameras: tuple[str, ...] = ()
    tags: Path | None = None
    calibration: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            UsageError: neither or both of arm and twin, or what belongs to the other.
        """
        from envs.errors import UsageError

        if self.twin == bool(self.port):
            raise UsageError("give the port of an arm, or --twin")
        if self.twin and (self.cameras or self.tags or self.calibration):
            raise UsageError("--cameras, --tags and --calibration are of an arm, not of the twin")
        if not self.twin and (self.objects != "truth" or self.own_clock):
            raise UsageError("--objects and --clock are of the twin, not of an arm")
        if self.patient and not self.emulated:
            raise UsageError("--patient is for emulated motors, not for an arm")

    @property
    def emulated(self) -> bool:
        """Whether what is driven is a program: what it does is not labelled real."""
        from real.address import ArmAddress

        return self.twin or ArmAddress("", self.port, self.interface).emulated

    def find(self, robot: str) -> "tuple[ArmAddress, Eyes]":
        """Return where an arm is, and how it sees.

        Raises:
            UsageError: a calibration of another arm or none, or cameras written wrongly.
        """
        from real.address import ArmAddress
        from real.calibration import Calibration
        from real.real_senses import Eyes

        known = Calibration.in_force(self.calibration)
        interface = self.interface if robot == OPENARM else ""
        address = ArmAddress(robot, self.port, interface, known)
        return address, Eyes.parse(self.cameras, self.tags, known)


def open_arm(
    stack: ExitStack,
    place: Place,
    collection: "Collection",
    tell: Callable[[str], None],
    views: bool = False,
) -> tuple["RealArm", "Twin | ClockTwin | None"]:
    """Connect to the arm of a collection, or to its twin; ``stack`` releases both.

    ``views``: a person looks through the cameras of an arm, so all of them are started, not only
    those that are recorded.

    Raises:
        UsageError: an arm, a bus or a camera library that is not there or not as it should be.
        MachineError: a motor or a camera that cannot be used.
    """
    if place.twin:
        return _open_twin(stack, place, collection)
    from envs.tasks import TASKS
    from real.address import PATIENT
    from real.control import FarArm
    from real.real_arm import OperatorTable, RealArm
    from real.real_senses import open_all, open_senses
    from real.scene_words import scene

    task, cameras = TASKS[collection.task], collection.cameras
    address, eyes = place.find(collection.robot)
    eyes.needed(cameras)  # before the torque is on
    joints = stack.enter_context(FarArm(address, PATIENT if place.patient else None))
    if views:  # tags only where no pictures are recorded
        senses = open_all(replace(eyes, tags=None) if cameras else eyes, joints)
    else:
        senses = open_senses(eyes, cameras, joints)
    table = OperatorTable(lambda start: tell(scene(start)))
    arm = stack.enter_context(
        RealArm(joints, task, table, senses, cameras, address.calibration_hash)
    )
    if not cameras and not senses.sees(task.manipulated):
        tell(
            f"Nobody sees where {task.manipulated} is: episodes say that it stays where it was to "
            "be put. --tags sees it by its tags, --pixels records pictures instead."
        )
    return arm, None


def _open_twin(
    stack: ExitStack, place: Place, collection: "Collection"
) -> tuple["RealArm", "Twin | ClockTwin"]:
    from real.address import PATIENT
    from real.emulators.twin import ClockTwin, Twin, TwinSetup
    from real.emulators.twin_table import Sight, twin_arm

    setup = TwinSetup(collection.task, collection.robot, seed=collection.seed)
    twin: Twin | ClockTwin = ClockTwin(setup) if place.own_clock else Twin(setup)
    stack.callback(twin.close)
    manner = PATIENT if place.patient else None
    arm = twin_arm(twin, collection.cameras, manner, sight=Sight(place.objects))
    return stack.enter_context(arm), twin

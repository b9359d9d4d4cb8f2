"""Two arms at one table, as one robot: the joints of the left one, then those of the right one.

The layout is ALOHA's: the arms face each other across the table, 14 joints with the grippers in
columns 6 and 13. The left arm's base is the origin, and x points from it to the right arm; seen
by ``view`` the left arm is on the left.
"""

from dataclasses import dataclass, field
from math import pi

from envs.arm import ArmSpec
from envs.robot_model import Mount, RobotModel, Table, View
from envs.viperx import VIPERX

LEFT, RIGHT = "left_", "right_"


@dataclass(frozen=True)
class RobotPair:
    """Two arms of registered types that face each other.

    Attributes:
        name: registered name.
        title: name for people.
        left, right: the arms.
        apart: distance of their bases [m].
        table: what both stand on.
        overhead: the camera that sees what is between them from above.
        view: the camera for people.
    """

    name: str
    title: str
    left: RobotModel
    right: RobotModel
    apart: float
    table: Table
    overhead: View
    view: View
    _spec: ArmSpec = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the specification; refuse arms that stand in each other or off the table."""
        middle, half = self.table.centre[0], self.table.half[0]
        if not (self.apart > 0.2 and middle - half <= 0 and self.apart <= middle + half):
            raise ValueError(f"both bases must stand apart and on the table, got {self.apart} m")
        object.__setattr__(self, "_spec", self._make_spec())

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Return the left arm at the origin and the right one opposite, facing it."""
        opposite = (self.apart, 0.0, 0.0)
        return (Mount(self.left, LEFT), Mount(self.right, RIGHT, opposite, pi))

    def spec(self) -> ArmSpec:
        """Return the specification of both arms; the workspace is the left one's."""
        return self._spec

    def _make_spec(self) -> ArmSpec:
        left, right = self.left.spec(), self.right.spec()
        names = [f"{LEFT}{joint}" for joint in left.joints]
        return ArmSpec(
            name=self.name,
            joints=(*names, *(f"{RIGHT}{joint}" for joint in right.joints)),
            lower=left.lower + right.lower,
            upper=left.upper + right.upper,
            velocity=left.velocity + right.velocity,
            effort=left.effort + right.effort,
            home=left.home + right.home,
            grippers=(*left.grippers, *(left.n + column for column in right.grippers)),
            workspace=left.workspace,
            cameras=("overhead", f"{LEFT}wrist", f"{RIGHT}wrist"),
        )


# Distance of the bases: the ALOHA model of the MuJoCo Menagerie (.469 m from the middle).
VIPERX_PAIR = RobotPair(
    name="viperx_pair",
    title="Two ViperX-300 S2 (ALOHA)",
    left=VIPERX,
    right=VIPERX,
    apart=0.938,
    table=Table((0.62, 0.45, 0.02), (0.469, 0.0), shadows=1.2, aside=-2.6),
    overhead=View((0.469, -0.32, 0.98), (0.469, 0.0, 0.0)),
    view=View((0.90, -1.50, 0.85), (0.469, 0.0, 0.14)),
)

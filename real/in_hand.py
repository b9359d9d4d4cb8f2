"""Objects that the hand hides from the camera: at rest below it, or going where it goes.

A gripper over an object covers its tags. Until the gripper closes on it, the object stays where it
was seen last; from then on it moves with the hand, as the joints tell better than a tag in the air
does. Where the camera sees it stand elsewhere, again and again, it was not grasped, or was dropped.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from envs.arm import Array
from real.pinhole import Pose
from real.real_arm import Poses, Seen

REACH = 0.035
"""An object whose middle is so near to the tool centre point can be grasped [m]."""

COVERED = 0.15
"""An object so near, as seen from above, may be hidden by the hand [m]."""

COVERED_S = 5.0
"""For so long is an object that is hidden taken to rest where it was seen last [s]."""

CLOSED = 0.1
"""A gripper that closes by so much has grasped what is in reach; one that opens lets it go."""

ELSEWHERE, TIMES = 0.02, 3
"""What is seen to stand so far from the hand that holds it [m], so often, is not held."""

KEPT = 50  # poses of the hand that are remembered: a second


@dataclass
class _Held:
    """What is known of one object: its newest sight, and whether it is in the hand."""

    stamp: float = -1.0
    place: Pose = Pose()  # noqa: RUF009  (immutable)
    widest: float = 0.0
    least: float = 1.0
    grip: Pose | None = None
    doubts: int = 0


class InHand:
    """Completes what a camera sees of objects by what the hand does with them; ``Poses``.

    Call it once a control period.
    """

    def __init__(
        self,
        poses: Poses,
        joints: Callable[[], Array],
        tool: Callable[[Array], Array],
        now: Callable[[], float],
    ) -> None:
        """Complete ``poses``.

        Args:
            poses: where every object was seen last.
            joints: returns the joints (n,), the gripper last.
            tool: pose (7,) of the tool centre point at joints (n,).
            now: the clock of all stamps [s].
        """
        self._poses, self._joints, self._tool, self._now = poses, joints, tool, now
        self._held: dict[str, _Held] = {}
        self._hands: deque[tuple[float, Pose]] = deque(maxlen=KEPT)

    def __call__(self) -> Mapping[str, Seen]:
        """Return where every object is that was ever seen."""
        joints, now = np.asarray(self._joints(), float), self._now()
        hand = Pose.from_array(self._tool(joints))
        self._hands.append((now, hand))
        found = {}
        for name, seen in self._poses().items():
            held = self._held.setdefault(name, _Held())
            if seen.stamp > held.stamp:
                self._believe(held, seen)
            self._feel(held, hand, float(joints[-1]))
            found[name] = self._told(held, hand, now)
        return found

    def _believe(self, held: _Held, seen: Seen) -> None:
        """Take a sight; one of what is in the hand only if it is there no more."""
        place, held.stamp = Pose.from_array(seen.pose), seen.stamp
        if held.grip is not None:
            then = min(self._hands, key=lambda item: abs(item[0] - seen.stamp))[1]
            far = (then @ held.grip).distance(place) > ELSEWHERE
            held.doubts = held.doubts + 1 if far else 0
            if held.doubts < TIMES:
                return
        held.place, held.grip, held.doubts = place, None, 0

    @staticmethod
    def _near(hand: Pose, place: Pose) -> bool:
        return hand.distance(place) <= REACH

    def _feel(self, held: _Held, hand: Pose, opening: float) -> None:
        """See whether the gripper has closed on it, or let it go."""
        if held.grip is None:
            held.widest = max(held.widest, opening) if self._near(hand, held.place) else 0.0
            if held.widest - opening > CLOSED:
                held.grip, held.least = hand.inverse @ held.place, opening
                held.doubts = 0
            return
        held.place = hand @ held.grip
        held.least = min(held.least, opening)
        if opening - held.least > CLOSED:
            held.grip, held.widest = None, 0.0

    @staticmethod
    def _told(held: _Held, hand: Pose, now: float) -> Seen:
        """Return a pose with the time for which it is known."""
        if held.grip is not None:
            return Seen(held.place.array, now)
        away = np.subtract(held.place.position, hand.position)[:2]
        hidden = float(np.hypot(*away)) < COVERED and now - held.stamp < COVERED_S
        return Seen(held.place.array, now if hidden else held.stamp)

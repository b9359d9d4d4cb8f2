"""A question to many Dynamixel servos at once, and what is made of the answers."""

from collections.abc import Iterable
from dataclasses import dataclass

from real.dynamixel_packet import Block, fast_size


@dataclass(frozen=True)
class Span:
    """Registers that stand side by side: first address, bytes, and how many of these come first."""

    address: int
    length: int
    skip: int = 0


@dataclass(frozen=True)
class Reading:
    """What a servo answered to a joint read: the block, and when it was asked for at the latest."""

    block: Block
    asked: float


@dataclass(frozen=True)
class Question:
    """What was asked of which servos, and when [s]."""

    motors: tuple[int, ...]
    span: Span
    asked: float

    @property
    def wanted(self) -> list[tuple[int, int]]:
        """Ids and bytes of data, in the order of a fast answer."""
        return [(motor, self.span.length) for motor in self.motors]

    @property
    def size(self) -> int:
        """Bytes of a fast answer."""
        return fast_size([self.span.length] * len(self.motors))

    def readings(self, blocks: Iterable[Block]) -> dict[int, Reading]:
        """Return what ``blocks`` tell of what was asked, by id."""
        return {
            one.motor: Reading(Block(one.motor, one.error, one.data[self.span.skip :]), self.asked)
            for one in blocks
        }

"""What a format offers to conversions: episodes to read one by one, pieces to put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from envs.episode import Episode

ORIGIN_FORMAT = "format"
"""Key in ``EpisodeMeta.origin`` that names the format an episode was read from."""


class Source(Protocol):
    """Episodes of one data set, read one at a time.

    Attributes:
        names: of the episodes, in order.
        dropped: what the data set holds and an episode has no place for.
    """

    names: Sequence[str]
    dropped: Sequence[str]

    def read(self, index: int) -> Episode:
        """Return episode ``index`` of ``names``.

        Raises:
            UsageError: it is broken; the message names file and rule.
        """


class Target(Protocol):
    """A format to write: each episode becomes a folder of its own, then all are put together."""

    def signature(self, episode: Episode) -> Mapping[str, Any]:
        """Return, as JSON, what must be equal for all episodes of one data set."""

    def stage(self, folder: Path, episode: Episode) -> None:
        """Write one episode into the empty ``folder``."""

    def assemble(self, pieces: Sequence[Path], out: Path) -> None:
        """Put the staged ``pieces`` together at ``out``, a path that does not exist."""


@dataclass(frozen=True)
class Options:
    """How pictures are kept, and what else a target leaves open.

    Attributes:
        images: ``h264`` (small, with codec error), ``lossless`` (H.264 that is bit-exact) or
            ``png`` (pictures within the tables, bit-exact), of LeRobot's data sets.
        crf: quality of ``h264``, 0 to 51, smaller is better.
        jpeg: of ALOHA files: JPEG instead of raw pictures.
        next_obs: of robomimic files: each observation a second time, as the next one's.
    """

    images: str = "h264"
    crf: int = 18
    jpeg: bool = False
    next_obs: bool = True

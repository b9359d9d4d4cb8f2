"""Where demonstrations come from: folders, read once, or a stream, made as training goes on."""

from policies.base import ALGORITHMS
from policies.dataset import EpisodeSet, Reading
from policies.mixture import join
from policies.stream import Stream
from policies.train_config import TrainConfig

Source = EpisodeSet | Stream


def source_of(config: TrainConfig) -> Source:
    """Read the demonstrations that ``config`` names, or begin to make them.

    Raises:
        UsageError: no folder of episodes, or episodes that do not fit together.
    """
    reading = Reading(
        config.track,
        config.blind,
        config.image_size,
        config.validation,
        language=ALGORITHMS[config.algo].load().language,
    )
    if config.stream is not None:
        return Stream(config.stream, reading)
    sets = [EpisodeSet.load(folder, reading) for folder in config.folders]
    return sets[0] if len(sets) == 1 else join(sets)

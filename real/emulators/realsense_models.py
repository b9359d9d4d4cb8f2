"""What a D405 and a D435 are like, seen through librealsense.

Sizes, rates, options and product ids as ``rs-enumerate-devices`` lists them; focal lengths are
those of typical cameras (each one differs by a per cent or two), ranges of depth the data sheet's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from envs.registry import Registry
from real.cameras import Mode

Span = tuple[float, float, float, float]
"""Least and largest value of an option, its step, and what it is from the factory."""

SIZES = ((424, 240), (640, 480), (848, 480), (1280, 720))
RATES = (60, 30, 15)
FASTEST_LARGE = 30  # rate at 1280 x 720 [1/s]

_SWITCH: Span = (0.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Model:
    """A camera.

    Attributes:
        name: what is printed on it.
        product: its USB product id.
        sensors: its sensors with the streams that they deliver.
        options: by sensor and name.
        depth_units: length of a unit of depth [m].
        nearest: least distance that it sees [m].
        colour, depth: focal lengths [px], for each of ``SIZES``.
        baseline: from the depth's imager to the colour's, along x [m].
    """

    name: str
    product: str
    sensors: Mapping[str, tuple[str, ...]]
    options: Mapping[str, Mapping[str, Span]]
    depth_units: float
    nearest: float
    colour: tuple[float, float, float, float]
    depth: tuple[float, float, float, float]
    baseline: float

    @property
    def modes(self) -> tuple[Mode, ...]:
        """All sizes and rates."""
        return tuple(
            Mode(*size, fps)
            for size in SIZES
            for fps in RATES
            if fps <= FASTEST_LARGE or size != SIZES[-1]
        )

    def focal(self, stream: str, mode: Mode) -> float:
        """Return the focal length [px] of ``color`` or ``depth`` in a mode."""
        lengths = self.colour if stream == "color" else self.depth
        return lengths[SIZES.index((mode.width, mode.height))]


MODELS: Registry[Model] = Registry("RealSense camera")

MODELS.register(
    "D435",
    Model(
        name="Intel RealSense D435",
        product="0B07",
        sensors={"Stereo Module": ("depth",), "RGB Camera": ("color",)},
        options={
            "Stereo Module": {
                "enable_auto_exposure": _SWITCH,
                "exposure": (1.0, 165000.0, 1.0, 8500.0),
                "gain": (16.0, 248.0, 1.0, 16.0),
            },
            "RGB Camera": {
                "enable_auto_exposure": _SWITCH,
                "auto_exposure_priority": _SWITCH,
                "exposure": (1.0, 10000.0, 1.0, 156.0),
                "gain": (0.0, 128.0, 1.0, 64.0),
                "enable_auto_white_balance": _SWITCH,
                "white_balance": (2800.0, 6500.0, 10.0, 4600.0),
            },
        },
        depth_units=0.001,
        nearest=0.2,
        colour=(306.0, 612.0, 612.0, 918.0),
        depth=(212.0, 384.0, 424.0, 640.0),
        baseline=0.015,
    ),
)
MODELS.register(
    "D405",
    Model(
        name="Intel RealSense D405",
        product="0B5B",
        sensors={"Stereo Module": ("depth", "color")},
        options={
            "Stereo Module": {
                "enable_auto_exposure": _SWITCH,
                "exposure": (1.0, 165000.0, 1.0, 33000.0),
                "gain": (16.0, 248.0, 1.0, 16.0),
            }
        },
        depth_units=0.0001,
        nearest=0.07,
        colour=(213.0, 386.0, 427.0, 644.0),
        depth=(213.0, 386.0, 427.0, 644.0),
        baseline=0.0,
    ),
)

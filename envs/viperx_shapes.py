"""Shapes of the ViperX-300 S2: few and plain to collide with, finer ones to look at.

The servos are XM540 (58.5 x 33.5 x 44 mm) and XM430 (46.5 x 28.5 x 34 mm); dimensions of the
rest are read off the manufacturer's drawings by eye.
"""

from envs.robot_model import Rgba, Shape, Vec3

BLACK = (0.150, 0.153, 0.160, 1.0)
SERVO = (0.260, 0.270, 0.290, 1.0)
METAL = (0.66, 0.68, 0.71, 1.0)
STEEL = (0.36, 0.375, 0.40, 1.0)
RUBBER = (0.30, 0.31, 0.33, 1.0)


def _solid_box(half: Vec3, at: Vec3) -> Shape:
    return Shape("box", half, at, BLACK, "solid")


def _solid_bar(radius: float, ends: tuple[float, ...]) -> Shape:
    return Shape("cylinder", (radius,), ends, BLACK, "solid")


def _box(half: Vec3, at: Vec3, rgba: Rgba = BLACK) -> Shape:
    return Shape("box", half, at, rgba, "seen")


def _bar(radius: float, ends: tuple[float, ...], rgba: Rgba = BLACK) -> Shape:
    return Shape("cylinder", (radius,), ends, rgba, "seen")


def _pair(half: Vec3, at: Vec3, rgba: Rgba = BLACK) -> tuple[Shape, Shape]:
    """Return a box and its mirror image across the link's middle plane y = 0."""
    return _box(half, at, rgba), _box(half, (at[0], -at[1], at[2]), rgba)


LINKS: dict[str, tuple[Shape, ...]] = {
    "base": (
        Shape("box", (0.10, 0.075, 0.012), (-0.05, 0.0, 0.012), BLACK),
        Shape("cylinder", (0.045,), (0.0, 0.0, 0.0, 0.0, 0.0, 0.075), BLACK),
        _box((0.042, 0.055, 0.014), (-0.092, 0.0, 0.038), SERVO),
        _bar(0.048, (0.0, 0.0, 0.064, 0.0, 0.0, 0.073), METAL),
    ),
    "waist": (
        _solid_box((0.035, 0.045, 0.028), (0.0, 0.0, 0.012)),
        *_pair((0.026, 0.003, 0.038), (0.0, 0.047, 0.034)),
        _box((0.024, 0.044, 0.034), (-0.006, 0.0, 0.032), SERVO),
    ),
    "shoulder": (
        _solid_bar(0.024, (0.0, -0.05, 0.0, 0.0, 0.05, 0.0)),
        _solid_box((0.02, 0.022, 0.14), (0.0, 0.0, 0.15)),
        _solid_box((0.045, 0.028, 0.022), (0.03, 0.0, 0.3)),
        _solid_bar(0.022, (0.05955, -0.04, 0.3, 0.05955, 0.04, 0.3)),
        _bar(0.016, (0.0, -0.063, 0.0, 0.0, 0.063, 0.0), METAL),
        *_pair((0.018, 0.003, 0.044), (0.0, 0.0575, 0.024)),
        _box((0.018, 0.0605, 0.004), (0.0, 0.0, 0.068)),
        *_pair((0.010, 0.009, 0.105), (0.0, 0.019, 0.175)),
        _box((0.006, 0.012, 0.105), (0.0, 0.0, 0.175), STEEL),
        *_pair((0.043, 0.003, 0.021), (0.026, 0.034, 0.300)),
        _box((0.036, 0.031, 0.018), (0.030, 0.0, 0.300), SERVO),
        _bar(0.018, (0.05955, -0.042, 0.3, 0.05955, 0.042, 0.3), METAL),
    ),
    "elbow": (
        _solid_box((0.085, 0.02, 0.018), (0.11, 0.0, 0.0)),
        *_pair((0.030, 0.003, 0.017), (0.012, 0.0435, 0.0)),
        _box((0.004, 0.0465, 0.017), (0.043, 0.0, 0.0)),
        _box((0.055, 0.019, 0.010), (0.100, 0.0, 0.0)),
        _box((0.024, 0.021, 0.021), (0.175, 0.0, 0.0), SERVO),
    ),
    "forearm_roll": (
        _solid_bar(0.025, (0.0, 0.0, 0.0, 0.03, 0.0, 0.0)),
        _solid_box((0.035, 0.022, 0.02), (0.06, 0.0, 0.0)),
        _bar(0.025, (0.001, 0.0, 0.0, 0.020, 0.0, 0.0), METAL),
        *_pair((0.045, 0.003, 0.018), (0.063, 0.0235, 0.0)),
        _box((0.034, 0.0205, 0.0165), (0.064, 0.0, 0.0), SERVO),
    ),
    "wrist_angle": (
        _solid_bar(0.018, (0.0, -0.027, 0.0, 0.0, 0.027, 0.0)),
        _solid_box((0.03, 0.02, 0.018), (0.035, 0.0, 0.0)),
        _bar(0.013, (0.0, -0.038, 0.0, 0.0, 0.038, 0.0), METAL),
        *_pair((0.024, 0.0025, 0.014), (0.013, 0.0335, 0.0)),
        _box((0.003, 0.036, 0.014), (0.036, 0.0, 0.0)),
        _box((0.014, 0.018, 0.0175), (0.050, 0.0, 0.0), SERVO),
    ),
    "wrist_rotate": (
        _solid_bar(0.02, (-0.01, 0.0, 0.0, 0.012, 0.0, 0.0)),
        _solid_box((0.03, 0.022, 0.02), (0.045, 0.0, 0.0)),
        _solid_box((0.008, 0.066, 0.012), (0.0687, 0.0, 0.0)),
        _bar(0.017, (-0.006, 0.0, 0.0, 0.006, 0.0, 0.0), METAL),
        _box((0.005, 0.026, 0.022), (0.011, 0.0, 0.0)),
        _box((0.024, 0.0175, 0.0235), (0.040, 0.0, 0.0), SERVO),
        _box((0.005, 0.066, 0.013), (0.0655, 0.0, 0.0)),
        _bar(0.004, (0.074, -0.064, 0.006, 0.074, 0.064, 0.006), METAL),
        # Bracket and D405; the camera itself is at the front of the housing.
        _box((0.003, 0.014, 0.033), (0.012, 0.0, 0.052)),
        _box((0.008, 0.021, 0.011), (0.0105, 0.0, 0.0875), METAL),
    ),
}
"""Shapes of every link, by the name of its joint."""


def finger_shapes(side: float) -> tuple[Shape, ...]:
    """Return a finger: carriage on the rail and long blade; ``side`` is +1 left, -1 right."""
    return (
        _solid_box((0.043, 0.004, 0.010), (0.051, side * 0.007, 0.0)),
        _box((0.011, 0.0095, 0.0155), (0.008, side * 0.0125, 0.0)),
        _box((0.020, 0.004, 0.012), (0.036, side * 0.0075, 0.0)),
        _box((0.0195, 0.004, 0.010), (0.0745, side * 0.007, 0.0), STEEL),
    )


def finger_pad(side: float) -> Shape:
    """Return the rubber pad of a finger."""
    return Shape("box", (0.018, 0.0015, 0.010), (0.076, side * 0.0015, 0.0), RUBBER)

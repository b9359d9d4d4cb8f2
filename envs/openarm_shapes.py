"""Shapes of the OpenArm v1: aluminium brackets around round motors.

The motors are DM8009 (98 mm across), DM4340 and DM4310 (57 and 56 mm); brackets and covers are
read off pictures by eye.
"""

from envs.robot_model import Shape
from envs.shapes import BLACK, bar, box, pair, solid_bar, solid_box

MOTOR = (0.115, 0.120, 0.128, 1.0)
ALUMINIUM = (0.80, 0.81, 0.83, 1.0)
WHITE = (0.93, 0.93, 0.92, 1.0)
ACCENT = (0.20, 0.45, 0.78, 1.0)
RUBBER = (0.30, 0.31, 0.33, 1.0)

PEDESTAL = 0.16
"""Height of the column that the arm stands on, m."""


def _fork(gap: float, half: tuple[float, float], z: float, x: float = 0.0) -> tuple[Shape, Shape]:
    """Return two plates across x at ``x`` -+ ``gap``, half extents ``half`` in y and z, at z."""
    return (
        box((0.004, *half), (x - gap, 0.0, z), ALUMINIUM),
        box((0.004, *half), (x + gap, 0.0, z), ALUMINIUM),
    )


LINKS: dict[str, tuple[Shape, ...]] = {
    "base": (
        Shape("box", (0.09, 0.09, 0.006), (0.0, 0.0, 0.006), BLACK),
        Shape("box", (0.040, 0.040, 0.071), (0.0, 0.0, 0.083), ALUMINIUM),
        *pair((0.020, 0.0015, 0.066), (0.0, 0.0405, 0.083), BLACK),
        box((0.0415, 0.020, 0.066), (0.0, 0.0, 0.083), BLACK),
        Shape("box", (0.055, 0.055, 0.006), (0.0, 0.0, PEDESTAL - 0.006), BLACK),
        solid_bar(0.049, (0.0, 0.0, PEDESTAL, 0.0, 0.0, PEDESTAL + 0.06)),
        bar(0.049, (0.0, 0.0, PEDESTAL, 0.0, 0.0, PEDESTAL + 0.050), MOTOR),
        bar(0.0495, (0.0, 0.0, PEDESTAL + 0.022, 0.0, 0.0, PEDESTAL + 0.026), ACCENT),
        bar(0.043, (0.0, 0.0, PEDESTAL + 0.050, 0.0, 0.0, PEDESTAL + 0.060), ALUMINIUM),
    ),
    # A flange on the first motor that holds the second one, lying across x.
    "joint1": (
        solid_bar(0.049, (-0.032, 0.0, 0.06, 0.032, 0.0, 0.06)),
        bar(0.046, (0.0, 0.0, 0.0, 0.0, 0.0, 0.009), ALUMINIUM),
        *pair((0.030, 0.004, 0.030), (0.0, 0.034, 0.035), ALUMINIUM),
        bar(0.049, (-0.030, 0.0, 0.06, 0.030, 0.0, 0.06), MOTOR),
        bar(0.0495, (-0.004, 0.0, 0.06, 0.0, 0.0, 0.06), ACCENT),
    ),
    "joint2": (
        solid_box((0.046, 0.036, 0.008), (0.0301, 0.0, 0.057)),
        *_fork(0.040, (0.032, 0.036), 0.024, 0.0301),
        bar(0.032, (-0.016, 0.0, 0.0, -0.008, 0.0, 0.0), ALUMINIUM),
        bar(0.032, (0.068, 0.0, 0.0, 0.076, 0.0, 0.0), ALUMINIUM),
        box((0.044, 0.034, 0.005), (0.0301, 0.0, 0.060), ALUMINIUM),
    ),
    "joint3": (
        solid_bar(0.034, (0.0, 0.0, 0.0, 0.0, 0.0, 0.12)),
        solid_bar(0.030, (0.0, -0.034, 0.15375, 0.0, 0.034, 0.15375)),
        bar(0.0295, (0.0, 0.0, 0.001, 0.0, 0.0, 0.050), MOTOR),
        bar(0.030, (0.0, 0.0, 0.018, 0.0, 0.0, 0.021), ACCENT),
        box((0.033, 0.036, 0.004), (0.0, 0.0, 0.054), ALUMINIUM),
        box((0.026, 0.031, 0.028), (0.0, 0.0, 0.086), WHITE),
        *pair((0.024, 0.003, 0.055), (0.0, 0.0335, 0.110), ALUMINIUM),
        bar(0.0295, (0.0, -0.030, 0.15375, 0.0, 0.030, 0.15375), MOTOR),
        bar(0.030, (0.0, -0.002, 0.15375, 0.0, 0.001, 0.15375), ACCENT),
    ),
    "joint4": (
        solid_box((0.030, 0.044, 0.030), (0.0, -0.0315, 0.062)),
        box((0.026, 0.0035, 0.047), (0.0, 0.0115, 0.026), ALUMINIUM),
        box((0.026, 0.0035, 0.047), (0.0, -0.0745, 0.026), ALUMINIUM),
        bar(0.024, (0.0, 0.008, 0.0, 0.0, 0.018, 0.0), ALUMINIUM),
        bar(0.024, (0.0, -0.081, 0.0, 0.0, -0.071, 0.0), ALUMINIUM),
        box((0.028, 0.046, 0.004), (0.0, -0.0315, 0.050), ALUMINIUM),
        bar(0.0285, (0.0, -0.0315, 0.052, 0.0, -0.0315, 0.094), MOTOR),
        bar(0.029, (0.0, -0.0315, 0.070, 0.0, -0.0315, 0.073), ACCENT),
    ),
    "joint5": (
        solid_bar(0.030, (0.0, 0.0, 0.0, 0.0, 0.0, 0.08)),
        solid_bar(0.028, (-0.030, 0.0, 0.1205, 0.030, 0.0, 0.1205)),
        bar(0.027, (0.0, 0.0, 0.0005, 0.0, 0.0, 0.010), ALUMINIUM),
        box((0.025, 0.027, 0.032), (0.0, 0.0, 0.044), WHITE),
        *pair((0.026, 0.003, 0.036), (0.0, 0.0295, 0.048), ALUMINIUM),
        box((0.038, 0.030, 0.004), (0.0, 0.0, 0.080), ALUMINIUM),
        *_fork(0.036, (0.023, 0.030), 0.108),
        bar(0.020, (0.040, 0.0, 0.1205, 0.046, 0.0, 0.1205), MOTOR),
        bar(0.020, (-0.046, 0.0, 0.1205, -0.040, 0.0, 0.1205), MOTOR),
    ),
    "joint6": (
        solid_box((0.030, 0.030, 0.028), (-0.0375, 0.0, 0.0)),
        bar(0.0275, (-0.066, 0.0, 0.0, -0.009, 0.0, 0.0), MOTOR),
        bar(0.028, (-0.039, 0.0, 0.0, -0.036, 0.0, 0.0), ACCENT),
    ),
    # The hand: a bracket with the last motor, then the rail of the fingers.
    "joint7": (
        solid_box((0.026, 0.034, 0.020), (0.0, 0.0, 0.042)),
        solid_box((0.028, 0.062, 0.022), (0.0, 0.0, 0.084)),
        *pair((0.022, 0.0035, 0.036), (0.0, 0.0335, 0.018), ALUMINIUM),
        *(bar(0.022, (0.0, y - 0.004, 0.0, 0.0, y + 0.004, 0.0), MOTOR) for y in (-0.039, 0.039)),
        box((0.024, 0.037, 0.004), (0.0, 0.0, 0.051), ALUMINIUM),
        bar(0.028, (0.0, 0.0, 0.054, 0.0, 0.0, 0.070), MOTOR),
        box((0.027, 0.060, 0.015), (0.0, 0.0, 0.084), WHITE),
        box((0.028, 0.062, 0.004), (0.0, 0.0, 0.102), BLACK),
        bar(0.0045, (0.012, -0.060, 0.109, 0.012, 0.060, 0.109), ALUMINIUM),
        bar(0.0045, (-0.012, -0.060, 0.109, -0.012, 0.060, 0.109), ALUMINIUM),
        # Bracket and camera, on the side that faces away from the base.
        box((0.022, 0.012, 0.003), (-0.046, 0.0, 0.060), ALUMINIUM),
        box((0.011, 0.021, 0.008), (-0.075, 0.0, 0.0585), ALUMINIUM),
    ),
}
"""Shapes of every link, by the name of its joint."""


def finger_shapes(side: float) -> tuple[Shape, ...]:
    """Return a finger: carriage on the rail and blade; ``side`` is +1 left, -1 right."""
    return (
        solid_box((0.010, 0.004, 0.034), (0.0, side * 0.007, 0.041)),
        box((0.021, 0.011, 0.007), (0.0, side * 0.014, -0.002), BLACK),
        box((0.013, 0.006, 0.016), (0.0, side * 0.010, 0.020), ALUMINIUM),
        box((0.010, 0.004, 0.021), (0.0, side * 0.007, 0.055), ALUMINIUM),
    )


def finger_pad(side: float) -> Shape:
    """Return the rubber pad of a finger."""
    return Shape("box", (0.010, 0.0015, 0.018), (0.0, side * 0.0015, 0.055), RUBBER)

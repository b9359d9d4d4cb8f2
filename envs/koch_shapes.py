"""Shapes of the Koch v1.1: small black servos in white printed parts.

The servos are XL430 (28.5 x 46.5 x 34 mm) and XL330 (20 x 34 x 26 mm); the printed parts are read
off pictures by eye.
"""

from math import atan2, hypot

from envs.robot_model import Rgba, Shape, Vec3
from envs.shapes import bar, box, pair, solid_bar, solid_box

SERVO = (0.115, 0.118, 0.125, 1.0)
HORN = (0.52, 0.54, 0.57, 1.0)
WHITE = (0.93, 0.93, 0.91, 1.0)
SHADE = (0.84, 0.84, 0.82, 1.0)
RUBBER = (0.16, 0.165, 0.175, 1.0)

LINKS: dict[str, tuple[Shape, ...]] = {
    # A plate to screw to the table, and the first servo standing in a printed box.
    "base": (
        Shape("box", (0.042, 0.038, 0.004), (-0.012, 0.0, 0.004), WHITE),
        solid_box((0.030, 0.022, 0.016), (-0.010, 0.0, 0.022)),
        box((0.0245, 0.0145, 0.014), (-0.011, 0.0, 0.020), SERVO),
        *pair((0.027, 0.0025, 0.015), (-0.011, 0.0170, 0.020), WHITE),
        box((0.0025, 0.0190, 0.015), (-0.038, 0.0, 0.020), WHITE),
        box((0.010, 0.012, 0.006), (-0.046, 0.0, 0.011), SERVO),
        bar(0.011, (0.0, 0.0, 0.033, 0.0, 0.0, 0.0375), HORN),
    ),
    "shoulder_pan": (
        solid_box((0.020, 0.020, 0.022), (-0.004, 0.0, 0.014)),
        box((0.021, 0.024, 0.003), (-0.004, 0.0, -0.001), WHITE),
        *pair((0.013, 0.0025, 0.014), (-0.008, 0.0220, 0.013), WHITE),
        box((0.0235, 0.0170, 0.0143), (-0.010, 0.0, 0.0165), SERVO),
        bar(0.011, (0.0, -0.0205, 0.0154, 0.0, 0.0205, 0.0154), HORN),
    ),
    "shoulder_lift": (
        solid_bar(0.013, (0.0, -0.022, 0.0, 0.0, 0.022, 0.0)),
        solid_box((0.010, 0.018, 0.040), (0.0, 0.0, 0.056)),
        solid_box((0.018, 0.014, 0.014), (0.008, 0.0, 0.104)),
        *pair((0.0125, 0.0022, 0.040), (0.0, 0.0225, 0.026), WHITE),
        bar(0.0125, (0.0, -0.0247, 0.0, 0.0, -0.0203, 0.0), WHITE),
        bar(0.0125, (0.0, 0.0203, 0.0, 0.0, 0.0247, 0.0), WHITE),
        bar(0.005, (0.0, -0.0265, 0.0, 0.0, 0.0265, 0.0), HORN),
        box((0.0105, 0.0205, 0.0025), (0.0, 0.0, 0.064), SHADE),
        box((0.0085, 0.0130, 0.017), (0.0, 0.0, 0.080), WHITE),
        *pair((0.0150, 0.0022, 0.0135), (0.006, 0.0155, 0.104), WHITE),
        box((0.0170, 0.0130, 0.0100), (0.0075, 0.0, 0.1083), SERVO),
        bar(0.008, (0.0148, -0.0165, 0.1083, 0.0148, 0.0165, 0.1083), HORN),
    ),
    "elbow_flex": (
        solid_bar(0.011, (0.0, -0.020, 0.0, 0.0, 0.020, 0.0)),
        solid_box((0.042, 0.016, 0.010), (0.050, 0.0, 0.0)),
        *pair((0.026, 0.0020, 0.0090), (0.020, 0.0190, 0.0), WHITE),
        bar(0.0095, (0.0, -0.0210, 0.0, 0.0, -0.0170, 0.0), WHITE),
        bar(0.0095, (0.0, 0.0170, 0.0, 0.0, 0.0210, 0.0), WHITE),
        box((0.0025, 0.0195, 0.0090), (0.045, 0.0, 0.0), SHADE),
        box((0.0130, 0.0090, 0.0070), (0.058, 0.0, 0.001), WHITE),
        *pair((0.0190, 0.0020, 0.0115), (0.085, 0.0150, 0.0015), WHITE),
        box((0.0170, 0.0130, 0.0100), (0.0930, 0.0, 0.0027), SERVO),
        bar(0.008, (0.1005, -0.0160, 0.0027, 0.1005, 0.0160, 0.0027), HORN),
    ),
    "wrist_flex": (
        solid_bar(0.010, (0.0, -0.020, 0.0, 0.0, 0.020, 0.0)),
        solid_box((0.014, 0.016, 0.011), (0.028, 0.0, 0.0)),
        *pair((0.015, 0.0020, 0.0090), (0.009, 0.0190, 0.0), WHITE),
        box((0.0022, 0.0205, 0.0100), (0.0235, 0.0, 0.0), WHITE),
        box((0.0085, 0.0170, 0.0130), (0.0335, 0.0, 0.0), SERVO),
        bar(0.008, (0.042, 0.0, 0.0, 0.0445, 0.0, 0.0), HORN),
    ),
    # The part that turns holds the gripper's servo and is itself the fixed finger.
    "wrist_roll": (
        solid_box((0.013, 0.018, 0.012), (0.012, 0.0, 0.0)),
        solid_box((0.0220, 0.0025, 0.0090), (0.0450, -0.0125, 0.0)),
        bar(0.0105, (0.0, 0.0, 0.0, 0.0035, 0.0, 0.0), WHITE),
        box((0.0020, 0.0200, 0.0130), (0.0045, 0.001, 0.0), WHITE),
        box((0.0110, 0.0150, 0.0100), (0.0160, 0.003, -0.001), SERVO),
        box((0.0170, 0.0020, 0.0120), (0.0200, -0.0145, 0.0), WHITE),
        box((0.0215, 0.0020, 0.0095), (0.0465, -0.0135, 0.0), WHITE),
        box((0.0120, 0.0015, 0.0050), (0.0520, -0.0118, 0.0), SHADE),
        # Bracket and camera above the hand.
        box((0.0025, 0.0080, 0.0160), (0.0080, 0.008, 0.0265), WHITE),
        box((0.0060, 0.0125, 0.0080), (0.0080, 0.012, 0.0480), SERVO),
    ),
}
"""Shapes of every link, by the name of its joint."""


def _plate(
    start: tuple[float, float], end: tuple[float, float], wide: float
) -> tuple[Vec3, Vec3, float]:
    """Return half sizes, centre and turn of a 4 mm plate between two points of the jaw's plane."""
    length = hypot(end[0] - start[0], end[1] - start[1])
    centre = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, 0.0)
    return (length / 2, 0.002, wide), centre, atan2(end[1] - start[1], end[0] - start[0])


def jaw_shapes(reach: float, side: float) -> tuple[Shape, ...]:
    """Return the moving jaw: a horn, and a bent plate to the pad at (``reach``, ``side``) [m]."""
    knee, root = (0.018, side + 0.003), (0.0, 0.004)
    back, tip = side + 0.0050, reach + 0.006
    arm = _plate(root, knee, 0.0105)
    blade: tuple[Vec3, Vec3, Rgba] = (
        ((tip - knee[0]) / 2, 0.002, 0.0090),
        ((tip + knee[0]) / 2, back, 0.0),
        WHITE,
    )
    return (
        solid_box((0.009, 0.009, 0.0120), (0.0, 0.0, 0.0)),
        solid_box(*arm),
        solid_box(*blade[:2]),
        bar(0.0085, (0.0, 0.0, -0.0145, 0.0, 0.0, 0.0145), WHITE),
        bar(0.0045, (0.0, 0.0, -0.0165, 0.0, 0.0, 0.0165), HORN),
        box(arm[0], arm[1], WHITE, arm[2]),
        box(*blade),
        box((0.010, 0.0010, 0.0050), (reach - 0.008, back - 0.0025, 0.0), SHADE),
    )


def pad(reach: float, face: float, side: float) -> Shape:
    """Return a pad around ``reach`` with its face at y ``face``, its finger on side +1 or -1."""
    return Shape("box", (0.0100, 0.0015, 0.0085), (reach, face + side * 0.0015, 0.0), RUBBER)

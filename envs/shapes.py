"""Short ways to write down the shapes of a link: seen, or solid and hidden behind finer ones."""

from envs.robot_model import Rgba, Shape, Vec3

BLACK = (0.150, 0.153, 0.160, 1.0)


def solid_box(half: Vec3, at: Vec3, turn: float = 0.0) -> Shape:
    """Return a box that collides and is not drawn."""
    return Shape("box", half, at, BLACK, "solid", turn)


def solid_bar(radius: float, ends: tuple[float, ...]) -> Shape:
    """Return a cylinder between two ends (6,) that collides and is not drawn."""
    return Shape("cylinder", (radius,), ends, BLACK, "solid")


def box(half: Vec3, at: Vec3, rgba: Rgba = BLACK, turn: float = 0.0) -> Shape:
    """Return a box to look at."""
    return Shape("box", half, at, rgba, "seen", turn)


def bar(radius: float, ends: tuple[float, ...], rgba: Rgba = BLACK) -> Shape:
    """Return a cylinder between two ends (6,) to look at."""
    return Shape("cylinder", (radius,), ends, rgba, "seen")


def pair(half: Vec3, at: Vec3, rgba: Rgba = BLACK) -> tuple[Shape, Shape]:
    """Return a box and its mirror image across the link's middle plane y = 0."""
    return box(half, at, rgba), box(half, (at[0], -at[1], at[2]), rgba)

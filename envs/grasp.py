"""When a hand has a thing in its grasp: a touch is none."""

from envs.readings import Flag, Readings, seen_from

SLACK = 0.005  # the point between the pads is at most this far outside the thing [m]

Vec3 = tuple[float, float, float]


def holds(r: Readings, arm: str, name: str, half: Vec3, centre: Vec3 = (0.0, 0.0, 0.0)) -> Flag:
    """Tell whether an arm has a thing in its grasp.

    Both fingers touch it, and the point between them is in it: so they press on opposite sides. A
    closed gripper that pushes on a thing may touch it with both fingers, too, and does not hold it.

    Args:
        r: what the sensors read.
        arm: prefix of the arm's names.
        name: the object.
        half: half sizes of the box around it, in its frame [m].
        centre: of that box [m].
    """
    x, y, z = seen_from(r[f"{arm}tcp_pos"], r[f"{name}_pos"], r[f"{name}_quat"])
    dx, dy, dz = x - centre[0], y - centre[1], z - centre[2]
    return (
        (r.scalar(f"{arm}left_{name}") > 0)
        & (r.scalar(f"{arm}right_{name}") > 0)
        & (dx * dx < (half[0] + SLACK) ** 2)
        & (dy * dy < (half[1] + SLACK) ** 2)
        & (dz * dz < (half[2] + SLACK) ** 2)
    )

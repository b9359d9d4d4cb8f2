"""Tags on the things of a twin: which they are, and as pictures in its scene."""

from envs.extents import BOX, extents
from envs.pictures import Picture
from envs.world import World
from real.tags import CELLS, QUIET, TaggedObject, tag_image, tagged_box

MARGIN = (CELLS + 2 * QUIET) / CELLS
"""A tag with its white margin is so much wider than its black square."""

LEAST = 0.012
"""Smaller black squares are not told apart from above [m]."""

PER_OBJECT = 5


def tagged_objects(world: World) -> tuple[TaggedObject, ...]:
    """Return the boxes among a task's things with a tag on every side but the lower one.

    What is no single box, or too small for tags, has none.
    """
    found: list[TaggedObject] = []
    for name, thing in extents(world).items():
        size = 2 * min(thing.half) / MARGIN
        if name in world.objects and thing.kind == BOX and size >= LEAST:
            found.append(tagged_box(name, thing.half, PER_OBJECT * len(found), size))
    return tuple(found)


def tag_pictures(item: TaggedObject) -> list[Picture]:
    """Return the tags of an object as pictures for a scene."""
    return [
        Picture(
            f"tag{tag.id}",
            tag_image(tag.id, 8),
            (tag.size * MARGIN / 2, tag.size * MARGIN / 2),
            item.name,
            tag.mount.position,
            tag.mount.quaternion,
        )
        for tag in item.tags
    ]

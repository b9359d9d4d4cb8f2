"""The simulator, and what simulator and hardware share (no torch).

Importing this package registers the Gymnasium ids; it imports neither MuJoCo nor OpenGL.
"""

import gymnasium as gym

from envs.gl import guard_import

guard_import()

_IDS = {
    "PickPlace": "pick_place",
    "Transfer": "transfer",
    "Insertion": "insertion",
    "Insertion2mm": "insertion_2mm",
    "Insertion05mm": "insertion_05mm",
    "InsertionPair": "insertion_pair",
    "Assembly": "assembly",
    "LanguagePick": "language_pick",
    "TwoWays": "two_ways",
    "Wipe": "wipe",
    "Pour": "pour",
}


def _register() -> None:
    """Register each task on both tracks; their actions are -1..1, as learners expect."""
    for title, task in _IDS.items():
        for suffix, entry in (("", "make_state"), ("Pixels", "make_pixels")):
            gym.register(
                id=f"ArmTrials/{title}{suffix}-v1",
                entry_point=f"envs.gym_ids:{entry}",
                kwargs={"task": task},
            )


_register()

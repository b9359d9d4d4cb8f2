"""The simulator, and what simulator and hardware share (no torch).

Importing this package registers the Gymnasium ids; it imports neither MuJoCo nor OpenGL.
"""

import gymnasium as gym

_IDS = {"PickPlace": "pick_place"}


def _register() -> None:
    for title, task in _IDS.items():
        for suffix, entry in (("", "make"), ("Pixels", "make_pixels")):
            gym.register(
                id=f"ArmTrials/{title}{suffix}-v1",
                entry_point=f"envs.env:{entry}",
                kwargs={"task": task},
            )


_register()

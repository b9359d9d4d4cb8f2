"""Speed, measured as ratios within one run: ``python -m perf`` or ``make perf``.

A ratio compares two things done alternately on the same machine in the same minute, so it holds on
other machines too. None of it is a test: a busy machine must not fail a build.
"""

import os

from envs.gl import choose_backend

# MuJoCo's renderer, which ours is compared with, reads this when mujoco is imported.
os.environ.setdefault("MUJOCO_GL", choose_backend().replace("ray", "disable"))

"""Moves a Koch on a port until it is killed: ``python -m perf.dynamixel_control PORT``.

Says ``moving`` when it does.
"""

import sys
import time

import numpy as np

from envs.robots import ROBOTS
from real.dynamixel import DynamixelArm
from real.dynamixel_arms import KOCH
from real.dynamixel_joints import HardwareFaultError, Pace

PERIOD = 0.02


def main(port: str) -> None:
    """Move every joint to and fro at 50 Hz for ever."""
    arm = DynamixelArm.open(KOCH, ROBOTS["koch"].spec(), port, Pace(lost=2.0))
    middle, span = (arm.lower + arm.upper) / 2, (arm.upper - arm.lower) / 4
    arm.engage()
    start = time.monotonic()
    tick = 0
    while True:
        tick += 1
        time.sleep(max(0.0, start + tick * PERIOD - time.monotonic()))
        phase = 2.0 * tick * PERIOD + np.arange(arm.spec.n)
        try:
            arm.read()
            arm.write(middle + span * np.sin(phase))
        except HardwareFaultError:  # a machine so busy that the watchdogs bit
            arm.engage()
        if tick == 50:
            sys.stdout.write("moving\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])

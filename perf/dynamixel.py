"""What the Dynamixel driver holds on an emulated line: ``python -m perf.dynamixel [names]``.

rate      reading and writing, as fast as it goes
clock     30,000 control periods of a line that loses, spoils and cuts 1 % of each motor's answers,
          on a clock of its own
soak      30,000 readings of such a line in real time, as fast as it goes
watchdog  20 times SIGKILL and SIGSTOP of the program that moves the arm
stop      overload, over-temperature, unplug: until nothing moves any more
"""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
from rich.console import Console

from envs.robots import ROBOTS
from perf.dynamixel_proof import Counter, Judge
from real.dynamixel import DynamixelArm
from real.dynamixel_arms import KOCH, VIPERX, Wiring
from real.dynamixel_joints import HardwareFaultError, Pace
from real.emulators.dynamixel import DynamixelEmulator, Emulated, ServoState
from real.emulators.dynamixel_chain import setups
from real.emulators.dynamixel_faults import Fault
from real.emulators.dynamixel_wire import Timing, VirtualPort

CONSOLE = Console(highlight=False, soft_wrap=True)
PERIOD = 0.02
BAD_LINE = ("loss=0.01", "crc=0.01", "truncation=0.01")
WATCHDOG_GOAL_S, STOP_GOAL_S, RATE_GOAL_HZ = 0.220, 0.250, 150.0


SEVEN = replace(VIPERX, motors=tuple(replace(motor, shadows=()) for motor in VIPERX.motors))
"""A ViperX without the second motors of its shoulder and elbow."""


def open_arm(wiring: Wiring, emulator: DynamixelEmulator, pace: Pace | None = None) -> DynamixelArm:
    """Open the emulated arm and switch it on."""
    arm = DynamixelArm.open(wiring, ROBOTS[wiring.robot].spec(), emulator.port, pace)
    arm.engage()
    return arm


def rate(ticks: int) -> None:
    """Read and write as fast as it goes."""
    for wiring, delay in product((KOCH, SEVEN, VIPERX), (0, 250)):
        emulated = Emulated(servos=setups(wiring, delay))
        with DynamixelEmulator(emulated) as emulator:
            arm = open_arm(wiring, emulator, Pace(lost=1.0, watchdog=1.0))
            stale = 0
            start = time.perf_counter()
            for _ in range(ticks):
                state = arm.read()
                stale += not state.fresh.all()
                arm.write(np.clip(state.position, arm.lower, arm.upper))
            hz = ticks / (time.perf_counter() - start)
            arm.close()
        CONSOLE.print(
            f"{wiring.robot}, {len(wiring.ids)} motors, return delay {2 * delay} us, USB 1 ms: "
            f"{hz:.0f} Hz (goal {RATE_GOAL_HZ:.0f}), {stale} of {ticks} stale"
        )


def clock(ticks: int) -> None:
    """Read a bad line 50 times a second on a clock of its own and judge every value."""
    port = VirtualPort(Emulated("koch", plant=Counter).chain(0.0), Timing())
    arm = DynamixelArm(KOCH, ROBOTS["koch"].spec(), port)
    arm.engage()
    for fault in BAD_LINE:
        port.chain.inject(Fault.parse(fault))
    judged(arm, ticks, lambda: port.pass_time(PERIOD - port.now() % PERIOD))


def soak(ticks: int) -> None:
    """Read a bad line in real time and judge every value."""
    with DynamixelEmulator(Emulated("koch", faults=BAD_LINE, plant=Counter)) as emulator:
        # The pace of a machine that does other things, too: it may stop us for a while.
        arm = open_arm(KOCH, emulator, Pace(lost=1.0, watchdog=2.0))
        judged(arm, ticks, lambda: None)
        arm.close()


def judged(arm: DynamixelArm, ticks: int, wait: Callable[[], None]) -> None:
    """Read ``arm`` so many times, each after ``wait``, and tell what the judge says."""
    judge, aborts, oldest = Judge(arm.wiring), 0, 0.0
    start = time.perf_counter()
    for _ in range(ticks):
        wait()
        state = arm.read()
        judge.look(state)
        aborts += bool(state.faults)
        oldest = max(oldest, float(state.age.max()))
    took = time.perf_counter() - start
    CONSOLE.print(
        f"{ticks} readings in {took:.0f} s: {aborts} aborts, {len(judge.wrong)} wrong values, "
        f"{judge.stale} with a stale joint, all flagged; the oldest value was {oldest * 1e3:.0f} ms"
        f" old; {arm.bus.counts}"
    )


def watchdog(times: int) -> None:
    """Kill or stop the program that moves the arm; see when the motors rest."""
    for blow in (signal.SIGKILL, signal.SIGSTOP):
        took = [strike(blow) for _ in range(times)]
        kept = sum(t <= WATCHDOG_GOAL_S for t in took)
        CONSOLE.print(
            f"{blow.name}: {kept} of {times} stopped within {WATCHDOG_GOAL_S * 1e3:.0f} ms, "
            f"{min(took) * 1e3:.0f} to {max(took) * 1e3:.0f} ms"
        )


def strike(blow: signal.Signals) -> float:
    """Return the time from the blow to the program until the last motor rests [s]."""
    with DynamixelEmulator(Emulated("koch")) as emulator:
        program, struck, states = struck_program(emulator, blow)
        program.kill()
        program.wait()
    return max(state.moved_at for state in states) - struck


def struck_program(
    emulator: DynamixelEmulator, blow: signal.Signals
) -> tuple["subprocess.Popen[str]", float, list[ServoState]]:
    """Start a program that moves the arm, strike it, and wait until every watchdog has bitten.

    Returns:
        The program (stopped or dead), when it was struck [monotonic s], the servos afterwards.
    """
    command = [sys.executable, "-m", "perf.dynamixel_control", emulator.port]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    if program.stdout.readline().strip() != "moving":
        raise RuntimeError("the program that moves the arm did not start")
    program.send_signal(blow)
    struck = time.monotonic()
    for _ in range(3000):
        time.sleep(0.02)
        states = [*emulator.servos().values()]
        if all(state.watchdog == -1 for state in states):
            return program, struck, states
    program.kill()
    raise RuntimeError("no watchdog stopped the arm within a minute")


def stop(_: int) -> None:
    """Let motors fail on a line in real time; see when everything rests."""
    for fault in ("overload@4", "over_temperature@9", "undervoltage@1", "unplug@8", "unplug"):
        with DynamixelEmulator(Emulated("viperx")) as emulator:
            arm = open_arm(VIPERX, emulator)
            middle, span = (arm.lower + arm.upper) / 2, np.minimum(0.3, arm.upper - arm.lower)
            start, struck, said = time.monotonic(), 0.0, "nothing was noticed"
            for tick in range(150):
                time.sleep(max(0.0, start + tick * PERIOD - time.monotonic()))
                if tick == 75:
                    struck = time.monotonic()
                    emulator.inject(fault)
                try:
                    arm.read()
                    arm.write(middle + span / 4 * np.sin(3 * tick * PERIOD + np.arange(7)))
                except HardwareFaultError as error:
                    said = str(error)
            rest = max(state.moved_at for state in emulator.servos().values()) - struck
            arm.close()
        CONSOLE.print(f"{fault}: at rest after {rest * 1e3:.0f} ms (goal 250); {said}")


PARTS = {
    "rate": (rate, 1000),
    "clock": (clock, 30_000),
    "soak": (soak, 30_000),
    "watchdog": (watchdog, 20),
    "stop": (stop, 1),
}


def main() -> int:
    """Run the parts asked for; return 0 whatever they say: they are figures, not tests."""
    parser = argparse.ArgumentParser(
        prog="python -m perf.dynamixel",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="default: all")
    parser.add_argument(
        "--times", type=int, help="ticks of rate, clock and soak, blows of watchdog"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(PARTS):
        parser.error(f"unknown {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    for name in arguments.names or PARTS:
        part, times = PARTS[name]
        part(arguments.times or times)
    return 0


if __name__ == "__main__":
    sys.exit(main())

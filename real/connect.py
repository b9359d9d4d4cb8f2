"""Connecting to real arms: whoever does gets a ``SafeArm``; only this file imports drivers."""

import time
from collections.abc import Callable

import numpy as np

from envs.arm import Array
from envs.errors import UsageError
from envs.robots import ROBOTS
from envs.statics import Statics
from real.address import ArmAddress, Manner
from real.can_bus import CanBus
from real.damiao import DamiaoBus
from real.damiao_arm import DamiaoArm
from real.dynamixel import DynamixelArm
from real.dynamixel_arms import WIRINGS, Wiring
from real.dynamixel_joints import HardwareFaultError, Pace
from real.dynamixel_machine import DynamixelMachine
from real.machine import MachineError
from real.openarm import OPENARM, OPENARM_RIGHT, calibrated
from real.rules import SafetyConfig
from real.safe_arm import SafeArm, StoppedError, Timer
from real.safety_log import SafetyLog
from real.stop import StopBoard
from real.verdict import INVALID_HARDWARE

LEADER_PACE = Pace(lost=0.5)
"""A leader that is silent for a moment only leaves its follower where it is."""

LEADER_TRIES = 20


def connect(
    address: ArmAddress,
    manner: Manner | None = None,
    stop: StopBoard | None = None,
    log: SafetyLog | None = None,
) -> SafeArm:
    """Switch the arm at ``address`` on where it is.

    Raises:
        UsageError: a robot or a bus that is not there, or settings that do not fit.
        MachineError: a motor that is not there, not set up, or reports a fault.
    """
    manner = manner or Manner()
    if address.robot == OPENARM:
        return _openarm(address, manner.config, stop, log)
    return _dynamixel(address, manner, stop, log)


def connect_motors(address: ArmAddress) -> tuple[Callable[[], Array], Callable[[], None]]:
    """Return what reads the motors' own positions (n,), and what ends that; no torque.

    Positions are ticks of Dynamixel servos and rad of Damiao motors, in the order of the joints,
    whatever calibration there is.

    Raises:
        UsageError: an arm or a bus that is not there or not as it should be.
        MachineError: a motor that does not answer.
    """
    robot, port = address.robot, address.port
    if robot == OPENARM:
        bus = DamiaoBus(CanBus(address.interface, str(port)), OPENARM_RIGHT)

        def angles() -> Array:
            found = bus.refresh()
            return np.array([found[motor.name].q for motor in OPENARM_RIGHT])

        return angles, bus.close
    wiring, spec = WIRINGS[robot], ROBOTS[robot.removesuffix("_leader")].spec()
    if isinstance(port, str):
        arm = DynamixelArm.open(wiring, spec, port)
    else:
        arm = DynamixelArm(wiring, spec, port())
    return arm.ticks, arm.close


def connect_leader(address: ArmAddress, pace: Pace | None = None) -> Callable[[], Array]:
    """Return what reads the joints (n,) of an arm that a person moves; no torque, nothing is sent.

    What it returns raises a ``StoppedError`` where the leader does not answer any more; it reads
    again once it does.

    Args:
        address: where it is: ``koch_leader``, or an arm in compliance, such as ``viperx``, whose
            weight is held by the person; with its own calibration.
        pace: how its motors are asked.

    Raises:
        UsageError: a robot without such motors, or an arm that is not as it should be.
        MachineError: motors that do not answer.
    """
    robot, port, pace = address.robot, address.port, pace or LEADER_PACE
    wiring = _wiring(address)
    spec = ROBOTS[robot.removesuffix("_leader")].spec()
    if isinstance(port, str):
        arm = DynamixelArm.open(wiring, spec, port, pace)
    else:
        arm = DynamixelArm(wiring, spec, port(), pace)
    lower, upper = np.array(spec.lower), np.array(spec.upper)

    def read() -> Array:
        state = arm.read()
        if state.faults:
            arm.faults = ()
            told = "; ".join(map(str, state.faults))
            raise StoppedError(INVALID_HARDWARE, f"the leader's {told}")
        joints: Array = np.clip(state.position, lower, upper)
        return joints

    _hear(arm)
    return read


def _hear(arm: DynamixelArm) -> None:
    """Wait until every motor was read once.

    Raises:
        MachineError: one does not answer.
    """
    for attempt in range(LEADER_TRIES):
        try:
            arm.read()
            return
        except HardwareFaultError as error:
            if attempt == LEADER_TRIES - 1:
                raise MachineError(f"the leader does not answer: {error}") from error


def connect_openarm(
    interface: str,
    channel: str,
    config: SafetyConfig | None = None,
    stop: StopBoard | None = None,
    log: SafetyLog | None = None,
) -> SafeArm:
    """Switch the right arm of an OpenArm on where it is.

    Args:
        interface: of python-can: ``socketcan``, or ``udp_multicast`` for the emulator.
        channel: of that interface, such as ``can0``.
        config: settings of the safety chain.
        stop: where an emergency stop is asked for.
        log: where the chain's findings go.

    Raises:
        UsageError: a bus that does not open, or settings that do not fit the arm.
        MachineError: a motor that is not there, not set up, or reports a fault.
    """
    address = ArmAddress(OPENARM, channel, interface)
    return _openarm(address, config or SafetyConfig(), stop, log)


def _openarm(
    address: ArmAddress, config: SafetyConfig, stop: StopBoard | None, log: SafetyLog | None
) -> SafeArm:
    statics, known = Statics(OPENARM), address.calibration
    motors = OPENARM_RIGHT if known is None else calibrated(OPENARM_RIGHT, known)
    spec = ROBOTS[OPENARM].spec()
    spec = spec if known is None else known.narrow(spec)
    bus = DamiaoBus(CanBus(address.interface, str(address.port)), motors)
    machine = DamiaoArm(spec, bus, statics.gravity)
    try:
        return SafeArm(machine, statics.clearance, config, stop, log)
    except BaseException:
        machine.close()
        raise


def connect_dynamixel(
    robot: str,
    port: str,
    config: SafetyConfig | None = None,
    stop: StopBoard | None = None,
    log: SafetyLog | None = None,
) -> SafeArm:
    """Switch an arm of Dynamixel motors on where it is.

    Args:
        robot: ``viperx`` or ``koch``.
        port: its serial port, such as ``/dev/ttyUSB0``, or the one that the emulator prints.
        config: settings of the safety chain.
        stop: where an emergency stop is asked for.
        log: where the chain's findings go.

    Raises:
        UsageError: a robot without such motors, a port that does not open, an arm that is not as
            it should be, or settings that do not fit it.
        MachineError: a motor that cannot be switched on.
    """
    manner = Manner(config or SafetyConfig())
    return _dynamixel(ArmAddress(robot, port), manner, stop, log)


def _wiring(address: ArmAddress) -> Wiring:
    """Return an arm's motors, with its calibration in force.

    Raises:
        UsageError: an arm without Dynamixel motors.
    """
    if address.robot not in WIRINGS:
        known = ", ".join(WIRINGS)
        raise UsageError(f"{address.robot!r} has no Dynamixel motors here; known: {known}")
    wiring, known_of_it = WIRINGS[address.robot], address.calibration
    return wiring if known_of_it is None else wiring.calibrated(known_of_it.motor_fields())


def _dynamixel(
    address: ArmAddress, manner: Manner, stop: StopBoard | None, log: SafetyLog | None
) -> SafeArm:
    robot, port = address.robot, address.port
    wiring, spec, statics = _wiring(address), ROBOTS[robot].spec(), Statics(robot)
    if address.calibration is not None:
        spec = address.calibration.narrow(spec)
    timer: Timer = (time.monotonic, time.sleep)
    if isinstance(port, str):
        arm = DynamixelArm.open(wiring, spec, port, manner.pace)
    else:
        made = port()
        arm = DynamixelArm(wiring, spec, made, manner.pace)
        timer = (made.now, getattr(made, "pass_time", time.sleep))
    machine = DynamixelMachine(arm)
    try:
        return SafeArm(machine, statics.clearance, manner.config, stop, log, timer)
    except BaseException:
        machine.close()
        raise

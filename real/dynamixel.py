"""A Dynamixel arm: joints in rad, read and driven once a control period.

Every value says how old it is; a packet that got lost is asked for again within the period and is
otherwise flagged, never replaced by an old one that looks new. A servo that reports an error, or
does not answer any more, ends all goals: the rest of the arm holds where it is. Should this program
stop talking, the servos' own watchdogs stop the arm.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from envs.arm import ArmSpec, Array
from envs.errors import UsageError
from real.dynamixel_arms import CURRENT_POSITION, PER_RADIAN, Motor, Wiring
from real.dynamixel_bus import Bus, NoAnswerError, RefusedError
from real.dynamixel_joints import (
    POSITION_AT,
    WATCHDOG_UNIT,
    HardwareFaultError,
    JointState,
    MotorFault,
    Pace,
    row,
    signed,
)
from real.dynamixel_packet import ALERT, hardware_errors
from real.dynamixel_port import Port, PortLostError, SerialPort
from real.dynamixel_question import Reading
from real.dynamixel_setup import MotorLimits, configure, find, health, limits
from real.dynamixel_tables import table

LOG = logging.getLogger(__name__)
TRIPPED = 0xFF
"""Bus Watchdog after it stopped the servo."""
BITTEN = "stopped by its watchdog"
TRIES = 3
"""How often switching on is tried on a machine that is too busy to feed the watchdogs."""
NEAR = 64
"""How far a goal may be from the servo before its torque is switched on [ticks]."""


class DynamixelArm:
    """The servos of one arm behind joint names and units.

    Attributes:
        spec: the arm, with the limits that both it and its servos allow.
        wiring: which servo moves which joint.
        lower: the spec's lowest targets (n,).
        upper: its highest targets (n,).
        velocity: its highest speeds (n,) [rad/s, 1/s]; the servos keep to them on their own.
        faults: why no more goals are taken.
    """

    def __init__(self, wiring: Wiring, spec: ArmSpec, port: Port, pace: Pace | None = None) -> None:
        """Find and check the servos on ``port``. Nothing moves, no torque is switched.

        Raises:
            UsageError: the arm is not as it should be; names the joint and what helps.
        """
        if tuple(motor.name for motor in wiring.motors) != spec.joints:
            raise ValueError(f"wiring must have the joints {spec.joints} in this order")
        self.wiring, self.spec, self.pace = wiring, spec, pace or Pace()
        tables = {number: table(joint.model) for joint in wiring.motors for number in joint.ids}
        self.bus = Bus(port, tables, wiring.baud)
        self._owner = {number: i for i, m in enumerate(wiring.motors) for number in m.ids}
        self._readings: dict[int, Reading] = {}
        self.faults: tuple[MotorFault, ...] = ()
        self.engaged = False
        find(self.bus, wiring)
        health(self.bus, wiring)
        self._motor_limits = limits(self.bus, wiring)
        self._intersect()

    @classmethod
    def open(
        cls, wiring: Wiring, spec: ArmSpec, path: str, pace: Pace | None = None
    ) -> "DynamixelArm":
        """Open the serial port ``path`` and the arm behind it; see the constructor."""
        port = SerialPort(path, wiring.baud)
        try:
            return cls(wiring, spec, port, pace)
        except BaseException:
            port.close()
            raise

    def _intersect(self) -> None:
        """Set the limits that both the spec and the servos allow."""
        lower, upper, speed = [], [], []
        for i, joint in enumerate(self.wiring.motors):
            own = self._motor_limits[joint.name]
            ends = sorted((joint.value(own.lower), joint.value(own.upper)))
            lower.append(max(self.spec.lower[i], ends[0]))
            upper.append(min(self.spec.upper[i], ends[1]))
            middle = joint.ticks((lower[-1] + upper[-1]) / 2)
            speed.append(min(self.spec.velocity[i], own.speed * abs(joint.slope(middle))))
            if lower[-1] >= upper[-1]:
                raise UsageError(
                    f"{joint.name}: the servo allows {ends[0]:.2f}..{ends[1]:.2f}, the arm "
                    f"{self.spec.lower[i]:.2f}..{self.spec.upper[i]:.2f}: nothing is left; check "
                    "its calibration and its Min and Max Position Limit"
                )
        self.lower, self.upper = np.array(lower), np.array(upper)
        self.velocity = np.array(speed)
        self.spec = replace(
            self.spec, lower=tuple(lower), upper=tuple(upper), velocity=tuple(map(float, speed))
        )

    # -- torque

    def engage(self) -> JointState:
        """Switch the torque on where the arm is, with the watchdogs armed; return its state.

        Raises:
            UsageError: a setting of a servo does not fit.
            HardwareFaultError: a servo does not take the torque.
        """
        configure(self.bus, self.wiring)
        for _ in range(TRIES):
            try:
                self.faults = self._switch_on()
            except (NoAnswerError, RefusedError) as error:
                fault = MotorFault(self._joint(error.motor), error.motor, str(error))
                raise HardwareFaultError([fault]) from error
            self.engaged = not self.faults
            state = self.read()
            if not self.faults:
                return state
            self.engaged = False
            if not all(fault.what.startswith(BITTEN) for fault in self.faults):
                break
        raise HardwareFaultError(self.faults)

    def _switch_on(self) -> tuple[MotorFault, ...]:
        """Prepare every servo, then switch all torques on at once; return what went wrong."""
        units = round(self.pace.watchdog / WATCHDOG_UNIT)
        for motor in self.wiring.ids:
            self.bus.put(motor, "Bus Watchdog", 0)
        for i, joint in enumerate(self.wiring.motors):
            for motor in joint.ids:
                self._prepare(joint, self._motor_limits[joint.name], motor, self.velocity[i])
        for motor in self.wiring.ids:
            self.bus.put(motor, "Bus Watchdog", units)
        for _ in range(TRIES):  # nobody confirms that
            self.bus.put_many("Torque Enable", dict.fromkeys(self.wiring.ids, 1))
        for joint in self.wiring.motors:  # only now: with its torque a servo begins anew
            if joint.mode == CURRENT_POSITION:
                most = round(joint.current * self._motor_limits[joint.name].current)
                self.bus.put(joint.motor, "Goal Current", most)
        self.bus.silence = 0.0
        self._readings = self._now("load", "Present Temperature")
        torque = self._now("Torque Enable", "Torque Enable")
        watch = self._now("Bus Watchdog", "Bus Watchdog")
        off = [m for m in self.wiring.ids if m not in torque or not torque[m].block.data[0]]
        bitten = [m for m in self.wiring.ids if m not in watch or watch[m].block.data[0] != units]
        faults = [MotorFault(self._joint(m), m, "it does not take its torque") for m in off]
        return tuple(faults or [MotorFault(self._joint(m), m, BITTEN) for m in bitten])

    def _now(self, first: str, last: str) -> dict[int, Reading]:
        """Read registers of all servos, with more patience than there is in a control period."""
        return self.bus.get_many(self.wiring.ids, first, last, 10 * self.pace.budget)

    def _prepare(self, joint: Motor, own: MotorLimits, motor: int, velocity: float) -> None:
        """Limit a servo's speed and current and put its goal where it is.

        Raises:
            HardwareFaultError: the goal is elsewhere; with torque the servo would jump.
        """
        bus = self.bus
        unit = bus.tables[motor].velocity
        slope = abs(joint.slope(joint.zero if not joint.opening else joint.ticks(0.5)))
        bus.put(motor, "Profile Acceleration", 0)
        bus.put(motor, "Profile Velocity", max(1, round(velocity / slope / PER_RADIAN / unit)))
        if bus.get(motor, "Torque Enable"):
            return
        place = bus.get(motor, "Present Position", signed=True)
        try:
            bus.put(motor, "Goal Position", place)
        except RefusedError:  # outside the limits: then the nearest position within
            bus.put(motor, "Goal Position", min(max(place, own.lower), own.upper))
        goal = bus.get(motor, "Goal Position", signed=True)
        if abs(goal - place) > NEAR:
            what = f"lies at {place}, outside {own.lower}..{own.upper}; move it inside by hand"
            raise HardwareFaultError([MotorFault(joint.name, motor, what)])

    def hold(self) -> None:
        """Let every joint that answers stay where it is now, with torque."""
        places = {}
        for joint in self.wiring.motors:
            reading = self._readings.get(joint.motor)
            if reading is not None and self.bus.port.now() - reading.asked < self.pace.lost:
                own = self._motor_limits[joint.name]
                ticks = signed(reading, POSITION_AT)
                places[joint.motor] = min(max(ticks, own.lower), own.upper)
        if places:
            self.bus.put_many("Goal Position", places)

    def limp(self) -> None:
        """Switch every torque off. The arm falls unless somebody or something supports it."""
        self.engaged = False
        for motor in self.wiring.ids:
            try:
                self.bus.put(motor, "Torque Enable", 0)
            except (NoAnswerError, RefusedError, PortLostError) as error:
                LOG.warning("%s", error)

    def close(self) -> None:
        """Leave the port. With torque on, the watchdogs hold the arm where it is."""
        self.engaged = False
        self.bus.port.close()

    # -- every control period

    def read(self) -> JointState:
        """Read all joints within the pace's budget; what could not be read is flagged.

        A fault that is found holds the arm at once.
        """
        faults: list[MotorFault] = []
        new: dict[int, Reading] = {}
        try:
            new = self.bus.get_many(
                self.wiring.ids, "load", "Present Temperature", self.pace.budget
            )
            self._readings |= new
            faults += self._alerts(new)
            if self.engaged and self.bus.silence > self.pace.watchdog - WATCHDOG_UNIT:
                faults += self._tripped(self.bus.silence)
            faults += self._lost()
        except PortLostError as error:
            faults = [MotorFault("", 0, str(error))]
        if unknown := [fault for fault in faults if not self._known(fault.motor)]:
            self._stop(unknown)
        return self._state(new)

    def ticks(self) -> Array:
        """Read the servos' own positions (n,) [ticks]; a silent one is a ``HardwareFaultError``."""
        new = self._now("load", "Present Temperature")
        if silent := [m for m in self.wiring.ids if m not in new]:
            raise HardwareFaultError([MotorFault(self._joint(m), m, "no answer") for m in silent])
        return np.array([signed(new[m.motor], POSITION_AT) for m in self.wiring.motors], float)

    def write(self, target: Array) -> None:
        """Send targets (n,), rad and opening, to the servos.

        Raises:
            ValueError: a target that is no number or beyond the limits.
            HardwareFaultError: something is wrong with the arm.
        """
        if self.faults:
            raise HardwareFaultError(self.faults)
        if not self.engaged:
            raise ValueError("the arm must be engaged before it takes targets")
        wanted = np.asarray(target, dtype=np.float64)
        good = (wanted >= self.lower - 1e-6) & (wanted <= self.upper + 1e-6)
        if wanted.shape != self.lower.shape or not good.all():
            raise ValueError(
                f"target must be within {self.lower.round(3)}..{self.upper.round(3)}, got {wanted}"
            )
        goals = {}
        for joint, value in zip(self.wiring.motors, wanted, strict=True):
            own = self._motor_limits[joint.name]
            goals[joint.motor] = min(max(joint.ticks(float(value)), own.lower), own.upper)
        try:
            self.bus.put_many("Goal Position", goals)
        except PortLostError as error:
            self._stop([MotorFault("", 0, str(error))])
            raise HardwareFaultError(self.faults) from error

    # -- faults

    def _alerts(self, new: dict[int, Reading]) -> list[MotorFault]:
        """Ask every servo that raised the alert bit what it is about."""
        faults = []
        for motor, reading in new.items():
            if reading.block.error & ALERT and not self._known(motor):
                try:
                    status = self.bus.get(motor, "Hardware Error Status", tries=2)
                    what = ", ".join(hardware_errors(status)) or "alert that passed"
                except (NoAnswerError, RefusedError):
                    what = "alert, and it does not say why"
                faults.append(MotorFault(self._joint(motor), motor, what))
        return faults

    def _tripped(self, silent: float) -> list[MotorFault]:
        """After a silence: tell which watchdogs stopped their servos."""
        found = self.bus.get_many(self.wiring.ids, "Bus Watchdog", "Bus Watchdog", self.pace.budget)
        if len(found) == len(self.wiring.ids):
            self.bus.silence = 0.0
        what = f"{BITTEN}: nothing was sent for {silent:.2f} s"
        return [
            MotorFault(self._joint(motor), motor, what)
            for motor, reading in found.items()
            if reading.block.data[0] == TRIPPED
        ]

    def _lost(self) -> list[MotorFault]:
        """Name the servos that have not answered for too long."""
        now = self.bus.port.now()
        return [
            MotorFault(self._joint(motor), motor, f"no answer for {now - reading.asked:.2f} s")
            for motor, reading in self._readings.items()
            if now - reading.asked > self.pace.lost
        ]

    def _stop(self, faults: Sequence[MotorFault]) -> None:
        """Take no more goals, and let what still obeys hold."""
        first, self.faults = not self.faults, (*self.faults, *faults)
        LOG.error("%s", HardwareFaultError(faults))
        try:
            if self.engaged and first:
                self.hold()
        except PortLostError:
            LOG.error("the port is gone; the watchdogs stop the servos")

    def _known(self, motor: int) -> bool:
        return any(fault.motor == motor for fault in self.faults)

    def _joint(self, motor: int) -> str:
        return self.wiring.motors[self._owner[motor]].name

    # -- registers to joints

    def _age(self, joint: Motor) -> float:
        """Return the age of the oldest reading of a joint's servos [s]."""
        oldest = min(self._readings[motor].asked for motor in joint.ids)
        return self.bus.port.now() - oldest

    def _state(self, new: dict[int, Reading]) -> JointState:
        """Make joints of the newest readings.

        Raises:
            HardwareFaultError: a servo has never answered.
        """
        never = [motor for motor in self.wiring.ids if motor not in self._readings]
        if never:
            raise HardwareFaultError(
                self.faults or [MotorFault(self._joint(m), m, "no answer") for m in never]
            )
        rows = [row(joint, self._readings, self.bus.tables) for joint in self.wiring.motors]
        position, velocity, effort, temperature = np.array(rows, dtype=np.float64).T
        fresh = [all(motor in new for motor in joint.ids) for joint in self.wiring.motors]
        age = [self._age(joint) for joint in self.wiring.motors]
        return JointState(
            position, velocity, effort, temperature, np.array(age), np.array(fresh), self.faults
        )

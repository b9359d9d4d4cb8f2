"""One emulated Dynamixel: its control table, what may be written when, its controller and sensors.

Source of the behaviour: the ROBOTIS e-Manual of the X series (operating modes, profiles, bus
watchdog, shutdown, drive mode). Indirect addresses are plain memory here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, pi

from real.dynamixel_models import model
from real.dynamixel_packet import ALERT, NO_SHADOW, Error, HardwareError
from real.dynamixel_tables import TICKS, table
from real.emulators.dynamixel_memory import SIZE, WATCHDOG_ERROR, Memory
from real.emulators.dynamixel_plant import OFF, Drive, Motion
from real.emulators.dynamixel_profile import Profile
from real.emulators.dynamixel_registers import FACTORY, FIRMWARE, GOALS, OF_MODEL

WATCHDOG_UNIT = 0.020
"""One unit of Bus Watchdog [s]."""
REVERSE, TIME_BASED = 0x01, 0x04
"""Bits of Drive Mode."""
ACCELERATION = 214.577 / 3600 * TICKS
"""One unit of Profile Acceleration [ticks/s^2] (214.577 turns/min^2)."""

REBOOT_S = 0.25
"""How long a servo is deaf after a reboot [s]."""
OVERLOAD_S = 1.0
"""How long the current may stay near standstill before the servo gives up [s]."""
AMBIENT, HEATING, TEMPERATURE_S = 25.0, 75.0, 90.0
"""Air [deg C], rise at stall current [K] and time constant [s] of the temperature."""
MOVING = 0.05
"""Speed from which the shaft counts as moving in ``moved_at`` [rad/s]."""

WAYS = {0: "current", 1: "velocity", 3: "position", 4: "position", 5: "position", 16: "pwm"}


@dataclass(frozen=True)
class Setup:
    """A servo as it is put into an arm.

    Attributes:
        model: name of its control table.
        registers: settings in its memory that differ from the factory's; its id is one.
        axis: servos with the same number share a joint.
        mirrored: its shaft turns against the joint.
        angle: of the joint at the start, positions' sense [rad].
    """

    model: str
    registers: Mapping[str, int] = field(default_factory=dict)
    axis: int = 0
    mirrored: bool = False
    angle: float = 0.0


class Servo:
    """A servo on the bus. All times are of one monotonic clock [s]."""

    def __init__(self, setup: Setup, now: float) -> None:
        """Switch it on."""
        self.setup, self.table, self.model = setup, table(setup.model), model(setup.model)
        self.memory = Memory(self.table)
        self.get, self.put = self.memory.get, self.memory.put
        self.temperature, self.volts = AMBIENT + 5, self.model.volts
        self.motion = Motion(-setup.angle if setup.mirrored else setup.angle)
        self.heated: float | None = None
        self.forced = 0
        self.turns = 0
        self.watchdog_at = self.goal_at = self.moved_at = -inf
        self.profile = Profile(0.0)
        self.memory.fill(FACTORY, OF_MODEL[setup.model], setup.registers)
        self._start(now)

    # -- power

    def _start(self, now: float) -> None:
        """Do what happens when power comes on: what does not survive starts anew."""
        kept = self.memory.data[: self.memory.ram]
        self.memory.data[:] = bytes(SIZE)
        self.memory.fill(FACTORY, OF_MODEL[self.setup.model])
        self.memory.data[: self.memory.ram] = kept
        self.put("Model Number", self.table.number)
        self.put("Firmware Version", FIRMWARE)
        self.registered: tuple[int, bytes] | None = None
        self.overloaded_for = 0.0
        self.last_heard, self.deaf_until = now, now
        self._within_one_turn()
        self._reset_goals()
        self._show(now)

    def reboot(self, now: float) -> None:
        """Start anew; the servo hears nothing meanwhile."""
        self._start(now)
        self.deaf_until = now + REBOOT_S

    def factory_reset(self, option: int, now: float) -> None:
        """Return to the factory's settings: all (0xFF), but the id (1), but id and baud (2)."""
        kept = {1: ("ID",), 2: ("ID", "Baud Rate")}.get(option, ())
        values = {name: self.get(name) for name in kept}
        self.memory.fill(dict.fromkeys(self.table.items, 0), FACTORY, ram=False)
        self.memory.fill(OF_MODEL[self.setup.model], values, ram=False)
        self.reboot(now)

    @property
    def motor(self) -> int:
        """Its id."""
        return self.get("ID")

    @property
    def shadow(self) -> int | None:
        """The id it obeys without answering, or None."""
        second = self.get("Secondary(Shadow) ID")
        return None if second >= NO_SHADOW - 2 else second

    @property
    def alert(self) -> int:
        """The alert bit of its status packets."""
        return ALERT if self.get("Hardware Error Status") else 0

    # -- positions

    @property
    def _sense(self) -> int:
        return -1 if self.get("Drive Mode") & REVERSE else 1

    def _ticks(self, angle: float) -> float:
        """Return the position the registers show for a shaft's ``angle`` [rad]."""
        turned = self._sense * angle * TICKS / (2 * pi)
        return self.table.zero + turned + self.get("Homing Offset") - self.turns * TICKS

    def _angle(self, ticks: float) -> float:
        """Undo ``_ticks``."""
        turned = ticks - self.table.zero - self.get("Homing Offset") + self.turns * TICKS
        return self._sense * turned * 2 * pi / TICKS

    @property
    def position(self) -> int:
        """Where the shaft is [ticks]."""
        return round(self._ticks(self.motion.angle))

    def clear_turns(self, now: float) -> None:
        """Forget whole turns: the position is within one turn again, and the registers say so."""
        self._within_one_turn()
        self.profile.stop(self.position)
        self._show(now)

    def _within_one_turn(self) -> None:
        self.turns = 0
        self.turns = (self.position - self.get("Homing Offset")) // TICKS

    # -- instructions

    def read(self, address: int, length: int) -> tuple[Error, bytes]:
        """Return ``length`` bytes from ``address`` on."""
        return self.memory.read(address, length)

    def write(self, address: int, data: bytes, now: float) -> Error:
        """Write ``data`` from ``address`` on; where a register refuses, none is written."""
        if address >= self.table["Indirect Address 1"].address:
            if address + len(data) > SIZE:
                return Error.ACCESS
            self.memory.data[address : address + len(data)] = data
            return Error.NONE
        error, values = self.memory.check(address, data, self._shut_down)
        for name, value in values.items():
            self._set(name, value, now)
        return error

    def _set(self, name: str, value: int, now: float) -> None:
        """Write an allowed value and do what follows from it."""
        switched_on = name == "Torque Enable" and value and not self.get("Torque Enable")
        self.put(name, value)
        if switched_on or name == "Operating Mode":
            self.last_heard = now
            self._reset_goals()
        elif name == "Homing Offset":
            self._show(now)
        elif name == "Goal Position":
            self._set_out(value)
        if name in GOALS:
            self.goal_at = now

    def _reset_goals(self) -> None:
        """Let the goals be where the shaft is: nothing moves."""
        self.put("Goal PWM", self.get("PWM Limit"))
        if "Goal Current" in self.table:
            full = self.get("Operating Mode") == 5
            self.put("Goal Current", self.get("Current Limit") if full else 0)
        self.put("Goal Velocity", 0)
        self.put("Goal Position", self.position)
        self.profile.stop(self._ticks(self.motion.angle))

    def _set_out(self, goal: int) -> None:
        """Start the profile to ``goal`` [ticks]."""
        velocity, ramp = self.get("Profile Velocity"), self.get("Profile Acceleration")
        if self.get("Drive Mode") & TIME_BASED:
            self.profile.head_for_in(goal, velocity / 1e3, ramp / 1e3)
            return
        unit = self.table.velocity * TICKS / (2 * pi)
        fastest = min(velocity, self.get("Velocity Limit")) * unit if velocity else inf
        self.profile.head_for(goal, fastest, ramp * ACCELERATION if ramp else inf)

    # -- time

    def heard(self, now: float) -> None:
        """An instruction came in: the watchdog starts anew."""
        self.last_heard = now

    def plan(self, now: float, dt: float) -> Drive:
        """Let the controller run for ``dt`` [s] up to ``now`` and say what it asks of the motor."""
        self._watch(now)
        if not self.get("Torque Enable"):
            self.profile.stop(self._ticks(self.motion.angle))
            return OFF
        way = WAYS[self.get("Operating Mode")]
        unit = self.model.current_unit
        most = self.model.stall_current
        if unit is not None:
            most = self.get("Current Limit") * unit
        if way == "position":
            self.profile.advance(dt)
            if self.get("Operating Mode") == 5 and unit is not None:
                most = abs(self.get("Goal Current")) * unit
            return Drive("position", self._angle(self.profile.position), most)
        if way == "velocity":
            return Drive(
                "velocity", self._sense * self.get("Goal Velocity") * self.table.velocity, most
            )
        if way == "current" and unit is not None:
            return Drive("current", self._sense * self.get("Goal Current") * unit, most)
        return Drive("pwm", self._sense * self.get("Goal PWM") / 885, most)

    def _watch(self, now: float) -> None:
        """Stop where nothing was heard for longer than Bus Watchdog says."""
        units = self.get("Bus Watchdog")
        due = self.last_heard + units * WATCHDOG_UNIT
        if units > 0 and self.get("Torque Enable") and now > due:
            self.watchdog_at = now
            self.put("Bus Watchdog", WATCHDOG_ERROR)
            self.put("Profile Acceleration", 0)
            self.put("Profile Velocity", 0)
            self._reset_goals()

    def sense(self, motion: Motion, dt: float, now: float) -> None:
        """Take in where the shaft went in ``dt`` [s] up to ``now``."""
        self.motion = motion
        if abs(motion.speed) > MOVING:
            self.moved_at = now
        share = abs(motion.current) / self.model.stall_current
        near = AMBIENT + 5 + HEATING * share**2
        self.temperature += (near - self.temperature) * min(1.0, dt / TEMPERATURE_S)
        if self.heated is not None:
            self.temperature = self.heated
        self.overloaded_for = self.overloaded_for + dt if share > 0.8 else 0.0
        self.judge()
        self._show(now)

    @property
    def _shut_down(self) -> bool:
        return bool(self.get("Hardware Error Status") & self.get("Shutdown"))

    def judge(self) -> None:
        """Set Hardware Error Status; what Shutdown names switches the torque off and stays."""
        tenths = round(self.volts * 10)
        found = self.forced
        if not self.get("Min Voltage Limit") <= tenths <= self.get("Max Voltage Limit"):
            found |= HardwareError.INPUT_VOLTAGE
        if self.temperature > self.get("Temperature Limit"):
            found |= HardwareError.OVERHEATING
        if self.overloaded_for > OVERLOAD_S:
            found |= HardwareError.OVERLOAD
        latched = self.get("Hardware Error Status") & self.get("Shutdown")
        self.put("Hardware Error Status", found | latched)
        if self._shut_down and self.get("Torque Enable"):
            self.put("Torque Enable", 0)

    def _show(self, now: float) -> None:
        """Write what the sensors see into the registers."""
        motion, sense = self.motion, self._sense
        speed = sense * motion.speed / self.table.velocity
        self.put("Present Position", self.position)
        self.put("Present Velocity", round(speed))
        self.put(self.table.load, self.model.register(sense * motion.current))
        self.put("Present Input Voltage", round(self.volts * 10))
        self.put("Present Temperature", round(self.temperature))
        self.put("Realtime Tick", int(now * 1000) % 32_768)
        self.put("Moving", int(abs(speed) > self.get("Moving Threshold")))
        self.put("Moving Status", 0x02 * self.profile.moving | (not self.profile.moving))
        self.put("Position Trajectory", round(self.profile.position))
        unit = self.table.velocity * TICKS / (2 * pi)
        self.put("Velocity Trajectory", round(self.profile.velocity / unit))

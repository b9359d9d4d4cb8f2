"""Emulate an arm's bus, for any software that speaks to its motors."""

import os
import shutil
import signal
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from real.emulators.dynamixel_line import Line
    from real.emulators.twin_plant import Scenery

OPENARM = "openarm"

EXAMPLES = """
armtrials emulate --robot koch
armtrials emulate --robot viperx --faults loss=0.01 crc=0.01 truncation=0.01
armtrials emulate --robot viperx --task pick_place
armtrials emulate --robot koch_leader --hand
armtrials emulate --robot openarm --task pick_place
armtrials emulate --robot koch --link koch-port --latency 0.016 --return-delay 250
"""

HELP = """\
Lines typed here are obeyed while it runs:
  name[=value][@id]      begin a fault; without an id of all motors
  clear [name[@id]]      end a fault, or all
  status                 what every motor does
  start NUMBER           put the task's things where episode NUMBER begins
faults:"""


@dataclass(frozen=True)
class Emulate:
    """Run an emulated arm until Ctrl-C; how to reach it is printed.

    Dynamixel arms are on a serial port, an OpenArm on CAN-FD by python-can's udp_multicast.

    Motors move as their registers say; with no program talking to them they rest.
    """

    robot: str = "koch"
    """Arm: viperx, koch, koch_leader or openarm."""
    task: str = ""
    """Task whose scene is behind the motors, in MuJoCo: a hardware twin for any software."""
    hand: bool = False
    """Somebody moves the arm by hand, as a leader: about the pose in which tasks begin."""
    channel: str = ""
    """Of an openarm's udp_multicast (default: python-can's own)."""
    faults: tuple[str, ...] = ()
    """Faults from the start, name[=value][@id]; others can be typed while it runs."""
    link: Path | None = None
    """A symbolic link to the port, for software that wants a fixed name."""
    latency: float = 0.001
    """What the USB adapter adds to every answer [s]; an FTDI adapter's default is 0.016."""
    return_delay: int = 0
    """Return Delay Time of the motors, units of 2 us; 250 is the factory's setting."""
    seed: int = 0
    """Another seed strikes other packets."""

    def run(self) -> int:
        """Serve until Ctrl-C; return 0."""
        if self.robot == OPENARM:
            return self._run_can()
        self._check()
        with ExitStack() as stack:
            return self._serve(stack)

    def _check(self) -> None:
        """Refuse what cannot be."""
        from envs.errors import UsageError

        if self.hand and self.task:
            raise UsageError("--hand moves an arm without a scene; leave out --task")
        if self.channel:
            raise UsageError("--channel belongs to --robot openarm; a port is chosen by the system")
        if not 0 <= self.return_delay <= 254:
            raise UsageError(f"--return-delay must be 0..254, got {self.return_delay}")
        if not 0 <= self.latency <= 1:
            raise UsageError(f"--latency must be 0..1 s, got {self.latency:g}")
        if self.link is not None and self.link.exists() and not self.link.is_symlink():
            raise UsageError(f"--link {self.link}: there is something else of that name")

    def _serve(self, stack: ExitStack) -> int:
        """Run servos on a serial port."""
        from real.dynamixel_arms import WIRINGS
        from real.emulators.dynamixel import Emulated
        from real.emulators.dynamixel_hand import Hand
        from real.emulators.dynamixel_wire import Timing
        from real.realtime import keep_time

        wiring = WIRINGS[self.robot]
        scenery = self._scenery(stack)
        told = offered(scenery)
        emulated = Emulated(
            self.robot,
            Timing(latency=self.latency),
            self.faults,
            self.seed,
            self.return_delay,
            plant=partial(Hand, self.robot) if self.hand else scenery,
            link=self.link,
        )
        line = emulated.line()
        try:
            motors = ", ".join(f"{number}" for number in wiring.ids)
            say(f"{self.robot}: motors {motors} at {wiring.baud} baud (Ctrl-C ends it)")
            say(f"port: {line.port}")
            for text in told:
                say(text)
            signal.signal(signal.SIGTERM, lambda *_: setattr(line, "stopped", True))
            line.watched[sys.stdin.fileno()] = lambda: listen(line)
            keep_time()
            line.serve()
        except KeyboardInterrupt:
            say("")
        finally:
            line.close()
        return 0

    def _scenery(self, stack: ExitStack) -> "Scenery | None":
        """Return the scene behind the motors, None where joints just follow them."""
        if not self.task:
            return None
        from envs.tasks import TASKS
        from real.emulators.twin_plant import Scenery
        from real.shared_block import memory_folder

        task = TASKS[self.task]
        folder = memory_folder()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return Scenery(task.name, self.robot, folder / "truth", seed=self.seed)

    def _run_can(self) -> int:
        """Run the motors of an OpenArm on a CAN-FD bus."""
        from envs.errors import UsageError
        from real.can_bus import MULTICAST
        from real.emulators.damiao import serve
        from real.emulators.twin_plant import DamiaoTwinPlant
        from real.realtime import keep_time

        if self.faults or self.link or self.hand:
            raise UsageError("--faults, --link and --hand are of Dynamixel arms")
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        with ExitStack() as stack:
            scenery = self._scenery(stack)
            told = offered(scenery)
            plant = None if scenery is None else DamiaoTwinPlant(scenery)
            for text in told:
                say(text)
            keep_time()
            try:
                serve(say, stop, channel=self.channel or MULTICAST, seed=self.seed, plant=plant)
            except KeyboardInterrupt:
                say("")
        return 0


def listen(line: "Line") -> None:
    """Obey what was typed; when nothing can come any more, stop listening."""
    text = os.read(sys.stdin.fileno(), 4096).decode(errors="replace")
    if not text:
        del line.watched[sys.stdin.fileno()]
        return
    for order in text.splitlines():
        say(obey(line, order))


def obey(line: "Line", order: str) -> str:
    """Carry out one typed line and return what there is to say about it."""
    from envs.errors import UsageError
    from real.emulators.dynamixel_faults import KINDS, Fault

    words = order.split()
    port = line.port
    try:
        if words[:1] == ["clear"]:
            fault = Fault.parse(words[1]) if len(words) > 1 else None
            line.clear(*((fault.name, fault.motor) if fault else (None, None)))
            return f"port: {line.port}" if line.port != port else "cleared"
        if words == ["status"]:
            return status(line)
        if words[:1] == ["start"]:
            return set_up(line, *words[1:2])
        if not words or words[0] in ("help", "?"):
            return "\n".join([HELP, *(f"  {name:<18} {kind.what}" for name, kind in KINDS.items())])
        for word in words:
            line.inject(Fault.parse(word))
    except UsageError as error:
        return str(error)
    return f"in force: {order.strip()}"


def offered(scenery: "Scenery | None") -> list[str]:
    """Leave for other programs what they need to see a scene; return what to tell of it."""
    if scenery is None:
        return []
    from real.emulators.twin_place import offer

    return [f"{name}: {options}" for name, options in offer(scenery).items()]


def set_up(line: "Line", number: str = "") -> str:
    """Put the things on the table where an episode of ``armtrials record`` begins.

    Raises:
        UsageError: there is no scene, or no such number.
    """
    from envs.collection import Collection
    from envs.errors import UsageError
    from real.emulators.twin_plant import TwinPlant

    plant = line.chain.plant
    if not isinstance(plant, TwinPlant):
        raise UsageError("nothing is on a table here: --task puts it there")
    if not number.isdecimal():
        raise UsageError(f"start must be followed by the number of an episode, got {number!r}")
    made = plant.scene.world
    plant.set_up(Collection(made.task.name, made.arm.name).start(int(number)))
    return f"set up: start {number}"


def status(line: "Line") -> str:
    """Return a line about every motor."""
    rows = [" id  position    goal  torque  temperature  error"]
    for servo in line.chain.servos:
        rows.append(
            f"{servo.motor:>3}  {servo.position:>8}  {servo.get('Goal Position'):>6}  "
            f"{'on' if servo.get('Torque Enable') else 'off':>6}  {servo.temperature:>8.0f} C  "
            f"  0x{servo.get('Hardware Error Status'):02x}"
        )
    return "\n".join(rows)


def say(text: str) -> None:
    """Write a line at once, so that other programs can read the port from it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

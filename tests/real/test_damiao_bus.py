"""The emulated motors on python-can itself: within a process, and between processes."""

import logging
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from envs.errors import UsageError
from envs.robots import ROBOTS

pytest.importorskip("can", reason="python-can is missing: pip install 'armtrials[damiao]'")

from real.can_bus import CanBus, Frame
from real.damiao import DamiaoBus
from real.damiao_arm import DamiaoArm
from real.damiao_wire import ENABLE, Mit
from real.emulators.damiao import DamiaoEmulator, serve
from real.emulators.damiao_motor import LOST
from real.machine import Cleared, MachineError
from real.openarm import OPENARM_RIGHT

ROOT = Path(__file__).resolve().parents[2]
PATIENT_S = 20.0  # these run in real time, on a machine that may be busy


def multicast_works() -> bool:
    """Return whether frames cross from one socket to another here."""
    try:
        near, far = (CanBus("udp_multicast", "239.74.163.9") for _ in range(2))
    except UsageError:
        return False
    try:
        near.send(Frame(1, b"\x01" * 8))
        return any(far.receive(0.1) is not None for _ in range(10))
    except MachineError:
        return False
    finally:
        near.close()
        far.close()


def test_the_motors_are_driven_through_python_can() -> None:
    rng = np.random.default_rng(0)
    with DamiaoEmulator(OPENARM_RIGHT, CanBus("virtual", "arm-1"), rng=rng) as motors:
        host = CanBus("virtual", "arm-1")
        bus = DamiaoBus(host, OPENARM_RIGHT, budget_s=PATIENT_S)
        bus.command(ENABLE)
        motors["joint2"].trouble.loss = 0.5
        until = time.monotonic() + PATIENT_S
        wish = {m.name: Mit(0.3 * (m.name == "joint2"), 0, m.kp, m.kd, 0) for m in OPENARM_RIGHT}
        while (q := bus.control(wish)["joint2"].q) < 0.28:
            assert time.monotonic() < until, f"joint2 is at {q}"
        assert bus.retries["joint2"] > 0
        bus.close()


def test_a_closed_bus_is_an_error_of_the_machine() -> None:
    bus = CanBus("virtual", "arm-2")
    bus.close()
    bus.close()
    with pytest.raises(MachineError, match="closed"):
        bus.send(Frame(1, b"\x00" * 8))
    with pytest.raises(MachineError, match="closed"):
        bus.receive(0.0)


def test_an_interface_that_is_not_there_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match=r"unknown CAN interface 'telepathy'; known: .*socketcan"):
        CanBus("telepathy", "can0")
    logging.disable()  # python-can logs what it also raises
    try:
        with pytest.raises(UsageError, match=r"CAN bus 'nowhere9' \(socketcan\) does not open"):
            CanBus("socketcan", "nowhere9")
    finally:
        logging.disable(logging.NOTSET)


def test_serving_tells_where_the_motors_are_and_ends_when_told() -> None:
    told: list[str] = []
    stop, ready = threading.Event(), threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        ready.set()

    options = {"interface": "virtual", "channel": "arm-3"}
    thread = threading.Thread(target=serve, args=(tell, stop), kwargs=options)
    thread.start()
    assert ready.wait(PATIENT_S)
    host = CanBus("virtual", "arm-3")
    bus = DamiaoBus(host, OPENARM_RIGHT, budget_s=PATIENT_S)
    assert len(bus.refresh()) == 8
    stop.set()
    thread.join(PATIENT_S)
    bus.close()
    assert not thread.is_alive()
    assert told == ["8 motors of an OpenArm on CAN-FD, interface virtual, channel arm-3"]


SERVER = """
import sys, threading
from real.emulators.damiao import serve
serve(lambda text: print(text, flush=True), threading.Event(), channel=sys.argv[1])
"""


@pytest.mark.skipif(not multicast_works(), reason="no UDP multicast on this machine")
def test_motors_in_another_process_are_an_arm() -> None:
    channel = "239.74.163.8"
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, channel], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert "8 motors" in server.stdout.readline()
        bus = DamiaoBus(CanBus("udp_multicast", channel), OPENARM_RIGHT, budget_s=PATIENT_S)
        arm = DamiaoArm(ROBOTS["openarm"].spec(), bus)
        seen = arm.enable()
        arm.drive(Cleared(seen.qpos.copy()))
        assert seen.qpos.shape == (8,)
        arm.close()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


CONTROL = """
import sys, time
from envs.robots import ROBOTS
from real.can_bus import CanBus
from real.damiao import DamiaoBus
from real.damiao_arm import DamiaoArm
from real.machine import Cleared
from real.openarm import OPENARM_RIGHT
bus = DamiaoBus(CanBus("udp_multicast", sys.argv[1]), OPENARM_RIGHT, budget_s=20.0)
arm = DamiaoArm(ROBOTS["openarm"].spec(), bus)
q = arm.enable().qpos
print("on", flush=True)
while True:
    arm.drive(Cleared(q.copy()))
    time.sleep(0.02)
"""


@pytest.mark.skipif(not multicast_works(), reason="no UDP multicast on this machine")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_motors_switch_themselves_off_when_the_control_process_dies(number) -> None:
    channel = f"239.74.163.{20 + number}"
    with DamiaoEmulator(OPENARM_RIGHT, CanBus("udp_multicast", channel)) as motors:
        control = subprocess.Popen(
            [sys.executable, "-c", CONTROL, channel], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            assert control.stdout.readline() == "on\n"
            control.send_signal(number)
            until = time.monotonic() + PATIENT_S
            while {motor.status for motor in motors.motors} != {LOST}:
                assert time.monotonic() < until
                time.sleep(0.01)
            assert {motor.torque for motor in motors.motors} == {0.0}
            # By the motors' own time, which a busy computer does not stretch.
            assert max(motor.lost_after for motor in motors.motors) < 0.22
        finally:
            control.kill()
            control.wait()
            control.stdout.close()


def test_everything_imports_without_python_can() -> None:
    code = (
        "import sys; sys.modules['can'] = None\n"
        "import real.connect, real.emulators.damiao\n"
        "from real.can_bus import CanBus\n"
        "try:\n    CanBus('virtual', 'x')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "python-can is missing: pip install 'armtrials[damiao]'\n"

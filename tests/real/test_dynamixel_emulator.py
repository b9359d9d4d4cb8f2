"""The emulated bus, driven by the unmodified Dynamixel SDK over a serial port."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sdk = pytest.importorskip(
    "dynamixel_sdk", reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'"
)

from envs.errors import UsageError  # noqa: E402
from real.dynamixel_tables import numbers, table  # noqa: E402
from real.emulators.dynamixel import DynamixelEmulator, Emulated  # noqa: E402
from real.emulators.dynamixel_faults import KINDS, Fault  # noqa: E402
from real.emulators.dynamixel_wire import INSTANT  # noqa: E402

OK, TIMEOUT, CORRUPT = sdk.COMM_SUCCESS, sdk.COMM_RX_TIMEOUT, sdk.COMM_RX_CORRUPT


def at(name: str) -> int:
    return table("xm540_w270")[name].address


@pytest.fixture(scope="module")
def emulator() -> Iterator[DynamixelEmulator]:
    with DynamixelEmulator(Emulated("viperx", timing=INSTANT)) as running:
        yield running


@pytest.fixture
def host(emulator: DynamixelEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator["Host"]:
    """The SDK on the port. It gets more patience than by default, for a machine that is busy."""
    monkeypatch.setattr("dynamixel_sdk.port_handler.LATENCY_TIMER", 1000)
    host = Host(emulator.port)
    yield host
    emulator.clear()
    for motor in range(1, 10):
        host.set(motor, "Torque Enable", 0)
        host.set(motor, "Bus Watchdog", 0)
    host.port.closePort()


class Host:
    def __init__(self, path: str, baud: int = 1_000_000) -> None:
        self.port, self.packets = sdk.PortHandler(path), sdk.PacketHandler(2.0)
        self.port.setBaudRate(baud)

    def set(self, motor: int, name: str, value: int) -> int:
        """Write a register; return the error byte."""
        item = table("xm540_w270")[name]
        raw = list((value & (1 << 8 * item.size) - 1).to_bytes(item.size, "little"))
        result, error = self.packets.writeTxRx(self.port, motor, item.address, item.size, raw)
        assert result == OK
        return error

    def get(self, motor: int, name: str) -> int:
        item = table("xm540_w270")[name]
        data, result, _ = self.packets.readTxRx(self.port, motor, item.address, item.size)
        assert result == OK
        return int.from_bytes(bytes(data), "little", signed=True)


def settled(emulator: DynamixelEmulator, motor: int, position: int) -> bool:
    """Wait until a servo has come to ``position``; it has a minute."""
    for _ in range(6000):
        if abs(emulator.servos()[motor].position - position) <= 1:
            return True
        time.sleep(0.01)
    return False


def test_every_servo_answers_a_ping_with_its_model(host: Host) -> None:
    models = [host.packets.ping(host.port, motor)[0] for motor in range(1, 10)]
    assert models == [1120] * 7 + [1020] * 2
    found, result = host.packets.broadcastPing(host.port)
    assert result == OK
    assert {motor: model for motor, (model, _) in found.items()} == dict(enumerate(models, 1))


def test_a_goal_is_reached_and_shadows_follow(host: Host, emulator: DynamixelEmulator) -> None:
    assert host.set(2, "Torque Enable", 1) == 0
    assert host.set(2, "Goal Position", 1500) == 0
    assert settled(emulator, 2, 1500)
    assert settled(emulator, 3, 1500)
    assert host.get(3, "Present Position") in (1499, 1500, 1501)


def test_sync_and_bulk_reads_agree_with_single_ones(host: Host) -> None:
    single = [host.get(motor, "Present Position") for motor in range(1, 10)]
    sync = sdk.GroupSyncRead(host.port, host.packets, at("Present Current"), 10)
    bulk = sdk.GroupBulkRead(host.port, host.packets)
    for motor in range(1, 10):
        sync.addParam(motor)
        bulk.addParam(motor, at("Present Position"), 4)
    for read in (sync.txRxPacket, sync.fastSyncRead):
        assert read() == OK
        assert [sync.getData(m, at("Present Position"), 4) for m in range(1, 10)] == single
    for read in (bulk.txRxPacket, bulk.fastBulkRead):
        assert read() == OK
        assert [bulk.getData(m, at("Present Position"), 4) for m in range(1, 10)] == single


def test_sync_and_bulk_writes_reach_every_servo(host: Host) -> None:
    sync = sdk.GroupSyncWrite(host.port, host.packets, at("LED"), 1)
    bulk = sdk.GroupBulkWrite(host.port, host.packets)
    for motor in range(1, 10):
        sync.addParam(motor, [1])
        bulk.addParam(motor, at("Profile Velocity"), 4, [100 + motor, 0, 0, 0])
    assert sync.txPacket() == OK
    assert bulk.txPacket() == OK
    assert [host.get(motor, "LED") for motor in range(1, 10)] == [1] * 9
    # A shadow obeys what its leader is told, too; here its own packet came later.
    assert [host.get(motor, "Profile Velocity") for motor in range(1, 10)] == [*range(101, 110)]


def test_a_registered_write_waits_for_its_action(host: Host) -> None:
    item = table("xm540_w270")["Profile Velocity"]
    written = host.packets.regWriteTxRx(host.port, 1, item.address, 4, [77, 0, 0, 0])
    assert written == (OK, 0)
    assert host.get(1, "Registered Instruction") == 1
    assert host.get(1, "Profile Velocity") != 77
    host.packets.action(host.port, sdk.BROADCAST_ID)
    assert host.get(1, "Profile Velocity") == 77


def test_what_may_not_be_written_is_refused_with_the_manual_s_number(host: Host) -> None:
    access, limit, data_range, length = 7, 6, 4, 5
    assert host.set(1, "Present Position", 1) == access
    assert host.set(2, "Goal Position", 100) == limit
    assert host.set(1, "Goal Current", 2048) == limit
    assert host.set(1, "Torque Enable", 2) == data_range
    assert host.packets.write1ByteTxRx(host.port, 1, at("Goal Position"), 1) == (OK, length)
    assert host.set(1, "Torque Enable", 1) == 0
    assert host.set(1, "Operating Mode", 4) == access


def test_after_a_reboot_what_is_not_a_setting_starts_anew(host: Host) -> None:
    assert host.set(9, "LED", 1) == 0
    assert host.set(9, "Moving Threshold", 20) == 0
    assert host.packets.reboot(host.port, 9) == (OK, 0)
    time.sleep(0.3)  # it is deaf meanwhile
    assert host.get(9, "LED") == 0
    assert host.get(9, "Moving Threshold") == 20
    assert host.packets.factoryReset(host.port, 9, 0x02) == (OK, 0)
    time.sleep(0.3)
    assert host.get(9, "Moving Threshold") == 10


def test_whole_turns_are_cleared(host: Host, emulator: DynamixelEmulator) -> None:
    assert host.set(8, "Operating Mode", 4) == 0
    assert host.set(8, "Torque Enable", 1) == 0
    assert host.set(8, "Goal Position", 2048 + 5000) == 0
    assert settled(emulator, 8, 7048)
    until = time.monotonic() + 30.0
    while host.packets.clearMultiTurn(host.port, 8) != (OK, 0):  # it refuses while it moves
        assert time.monotonic() < until
    assert host.get(8, "Present Position") in range(7048 - 4096 - 2, 7048 - 4096 + 3)
    assert host.set(8, "Torque Enable", 0) == 0
    assert host.set(8, "Operating Mode", 3) == 0


def test_an_overload_switches_torque_off_until_the_servo_is_rebooted(
    host: Host, emulator: DynamixelEmulator
) -> None:
    assert host.set(6, "Torque Enable", 1) == 0
    emulator.inject("overload@6")
    _, result, error = host.packets.ping(host.port, 6)
    assert (result, error & 0x80) == (OK, 0x80)
    assert host.get(6, "Hardware Error Status") == 0x20
    assert host.get(6, "Torque Enable") == 0
    emulator.clear("overload", 6)
    assert host.set(6, "Torque Enable", 1) & 0x7F == 1
    host.packets.reboot(host.port, 6)
    time.sleep(0.3)
    assert host.set(6, "Torque Enable", 1) == 0


def test_the_bus_watchdog_stops_a_servo_and_then_refuses_goals(
    host: Host, emulator: DynamixelEmulator
) -> None:
    assert host.set(7, "Torque Enable", 1) == 0
    assert host.set(7, "Bus Watchdog", 5) == 0
    time.sleep(0.3)
    assert host.get(7, "Bus Watchdog") == -1
    assert host.set(7, "Goal Position", 2000) == 4
    assert host.set(7, "Bus Watchdog", 0) == 0
    assert host.set(7, "Goal Position", 2000) == 0
    state = emulator.servos()[7]
    assert state.watchdog_at < state.goal_at


def test_faults_of_the_wire_look_to_the_sdk_as_on_a_wire(
    host: Host, emulator: DynamixelEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.inject("crc=1@4")
    assert host.packets.ping(host.port, 4)[1] in (CORRUPT, TIMEOUT)
    emulator.clear()
    monkeypatch.setattr("dynamixel_sdk.port_handler.LATENCY_TIMER", 50)
    emulator.inject("silence@4")
    assert host.packets.ping(host.port, 4)[1] == TIMEOUT
    emulator.inject("truncation=1@5")
    assert host.packets.ping(host.port, 5)[1] in (CORRUPT, TIMEOUT)
    emulator.inject("unplug@7")
    assert [host.packets.ping(host.port, m)[1] for m in (7, 8, 9)] == [TIMEOUT] * 3
    monkeypatch.setattr("dynamixel_sdk.port_handler.LATENCY_TIMER", 1000)
    assert host.packets.ping(host.port, 6)[1] == OK
    emulator.clear()
    time.sleep(0.3)
    assert [host.packets.ping(host.port, m)[1] for m in (4, 5, 9)] == [OK] * 3


def test_at_another_baud_rate_nobody_answers(
    emulator: DynamixelEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynamixel_sdk.port_handler.LATENCY_TIMER", 50)
    host = Host(emulator.port, baud=57_600)
    assert host.packets.ping(host.port, 1)[1] == TIMEOUT
    host.port.closePort()


def test_pulling_the_adapter_takes_the_port_away_until_it_is_back() -> None:
    with DynamixelEmulator(Emulated("koch", timing=INSTANT)) as emulator:
        before = emulator.port
        handle = os.open(before, os.O_RDWR | os.O_NOCTTY)
        emulator.inject("unplug")
        assert os.read(handle, 1) == b""
        os.close(handle)
        emulator.clear("unplug")
        assert Path(emulator.port).exists()


def test_an_unknown_fault_is_answered_with_those_there_are() -> None:
    for text in ("fire", "loss=2", "loss=x", "loss=0.1@one"):
        with pytest.raises(UsageError, match="fault"):
            Fault.parse(text)
    assert {Fault.parse(name).name for name in KINDS} == set(KINDS)


def test_every_model_file_of_the_sdk_is_understood() -> None:
    tables = [table(model) for model in numbers()]
    assert len(tables) >= 60
    assert all("ID" in found for found in tables)

"""Connecting to real arms: whoever does gets a ``SafeArm``; only this file imports drivers."""

from envs.robots import ROBOTS
from envs.statics import Statics
from real.can_bus import CanBus
from real.damiao import DamiaoBus
from real.damiao_arm import DamiaoArm
from real.openarm import OPENARM_RIGHT
from real.rules import SafetyConfig
from real.safe_arm import SafeArm
from real.safety_log import SafetyLog
from real.stop import StopBoard


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
    statics = Statics("openarm")
    bus = DamiaoBus(CanBus(interface, channel), OPENARM_RIGHT)
    machine = DamiaoArm(ROBOTS["openarm"].spec(), bus, statics.gravity)
    try:
        return SafeArm(machine, statics.clearance, config, stop, log)
    except BaseException:
        machine.close()
        raise

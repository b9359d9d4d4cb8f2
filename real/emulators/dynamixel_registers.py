"""What the model files do not say of the registers: who may write them, ranges, factory settings.

Source: the control tables of the ROBOTIS e-Manual for XM540-W270, XM430-W350, XL430-W250,
XL330-M288 and XL330-M077. The models differ in the factory settings listed in ``OF_MODEL``.
"""

from collections.abc import Mapping

GOALS = frozenset({"Goal PWM", "Goal Current", "Goal Velocity", "Goal Position"})

READ_ONLY = frozenset(
    {
        "Model Number",
        "Model Information",
        "Firmware Version",
        "Registered Instruction",
        "Hardware Error Status",
        "Realtime Tick",
        "Moving",
        "Moving Status",
        "Present PWM",
        "Present Current",
        "Present Load",
        "Present Velocity",
        "Present Position",
        "Velocity Trajectory",
        "Position Trajectory",
        "Present Input Voltage",
        "Present Temperature",
    }
)

SIGNED = GOALS | {
    "Homing Offset",
    "Bus Watchdog",
    "Present PWM",
    "Present Current",
    "Present Load",
    "Present Velocity",
    "Present Position",
    "Velocity Trajectory",
    "Position Trajectory",
}

MODES = (0, 1, 3, 4, 5, 16)
"""Current, velocity, position, extended position, current-based position, PWM."""

RANGES: Mapping[str, tuple[int, int]] = {
    "ID": (0, 252),
    "Baud Rate": (0, 7),
    "Return Delay Time": (0, 254),
    "Drive Mode": (0, 13),
    "Operating Mode": (0, 16),
    "Secondary(Shadow) ID": (0, 255),
    "Protocol Type": (1, 22),
    "Homing Offset": (-1_044_479, 1_044_479),
    "Moving Threshold": (0, 1023),
    "Temperature Limit": (0, 100),
    "PWM Limit": (0, 885),
    "Current Limit": (0, 2047),
    "Velocity Limit": (0, 2047),
    "Max Position Limit": (0, 4095),
    "Min Position Limit": (0, 4095),
    "Torque Enable": (0, 1),
    "LED": (0, 1),
    "Status Return Level": (0, 2),
    "Velocity I Gain": (0, 16_383),
    "Velocity P Gain": (0, 16_383),
    "Position D Gain": (0, 16_383),
    "Position I Gain": (0, 16_383),
    "Position P Gain": (0, 16_383),
    "Feedforward 2nd Gain": (0, 16_383),
    "Feedforward 1st Gain": (0, 16_383),
    "Bus Watchdog": (0, 127),
    "Profile Acceleration": (0, 32_767),
    "Profile Velocity": (0, 32_767),
    "Goal Position": (-1_048_575, 1_048_575),
}
"""Values a register takes (else error 4)."""

LIMITED_BY: Mapping[str, str] = {
    "Goal PWM": "PWM Limit",
    "Goal Current": "Current Limit",
    "Goal Velocity": "Velocity Limit",
}
"""Goals that may not exceed another register in size (else error 6)."""

BAUDS: Mapping[int, int] = {
    0: 9_600,
    1: 57_600,
    2: 115_200,
    3: 1_000_000,
    4: 2_000_000,
    5: 3_000_000,
    6: 4_000_000,
    7: 4_500_000,
}
"""Baud Rate register -> bits a second."""

FIRMWARE = 48
"""A version that knows fast reads and the bus watchdog (v38)."""

FAST_FIRMWARE = 45
"""Older servos stay silent in fast reads (assumed: the e-Manual names no version)."""

FACTORY: Mapping[str, int] = {
    "ID": 1,
    "Baud Rate": 1,
    "Return Delay Time": 250,
    "Operating Mode": 3,
    "Secondary(Shadow) ID": 255,
    "Protocol Type": 2,
    "Moving Threshold": 10,
    "PWM Limit": 885,
    "Max Position Limit": 4095,
    "Shutdown": 52,
    "Status Return Level": 2,
    "Velocity I Gain": 1920,
    "Velocity P Gain": 100,
    "Position P Gain": 800,
}
"""Factory settings; registers that are not listed start at 0."""

OF_MODEL: Mapping[str, Mapping[str, int]] = {
    "xm540_w270": {
        "Temperature Limit": 80,
        "Max Voltage Limit": 160,
        "Min Voltage Limit": 95,
        "Current Limit": 2047,
        "Velocity Limit": 128,
    },
    "xm430_w350": {
        "Temperature Limit": 80,
        "Max Voltage Limit": 160,
        "Min Voltage Limit": 95,
        "Current Limit": 1193,
        "Velocity Limit": 200,
    },
    "xl430_w250": {
        "Temperature Limit": 72,
        "Max Voltage Limit": 140,
        "Min Voltage Limit": 60,
        "Velocity Limit": 265,
        "Velocity I Gain": 1000,
        "Position D Gain": 4000,
        "Position P Gain": 640,
    },
    "xl330_m288": {
        "Temperature Limit": 70,
        "Max Voltage Limit": 70,
        "Min Voltage Limit": 35,
        "Current Limit": 1750,
        "Velocity Limit": 445,
        "Shutdown": 53,
        "Velocity I Gain": 1600,
        "Velocity P Gain": 180,
        "Position P Gain": 400,
    },
    "xl330_m077": {
        "Temperature Limit": 70,
        "Max Voltage Limit": 70,
        "Min Voltage Limit": 35,
        "Current Limit": 1750,
        "Velocity Limit": 1620,
        "Shutdown": 53,
        "Velocity I Gain": 1600,
        "Velocity P Gain": 180,
        "Position P Gain": 400,
    },
}

"""What the model files do not say of the servos in our arms: current, torque, speed, voltage.

Source: the model's page in the ROBOTIS e-Manual (specifications, and the unit of its current
register). Stall values are those at ``volts``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from envs.errors import UsageError


@dataclass(frozen=True)
class Model:
    """A servo's electrical and mechanical data.

    Attributes:
        volts: supply the other values hold for [V].
        stall_torque: at standstill [N m].
        stall_current: at standstill [A].
        free_rpm: speed without load [turns a minute].
        current_unit: one unit of its current registers [A]; None: it tells a load in 0.1 % of the
            most it can, no current.
        hot: factory setting of Temperature Limit [deg C].
    """

    volts: float
    stall_torque: float
    stall_current: float
    free_rpm: float
    current_unit: float | None
    hot: int

    @property
    def torque_constant(self) -> float:
        """Torque by current at standstill [N m/A]."""
        return self.stall_torque / self.stall_current

    def amperes(self, register: int) -> float:
        """Return the current [A] behind a value of Present Current or Present Load."""
        unit = self.current_unit
        return register * (self.stall_current / 1000 if unit is None else unit)

    def register(self, amperes: float) -> int:
        """Return the value of Present Current or Present Load at a current [A]."""
        unit = self.current_unit
        return round(amperes / (self.stall_current / 1000 if unit is None else unit))


MODELS: Mapping[str, Model] = {
    "xm540_w270": Model(12.0, 10.6, 4.4, 30, 0.00269, 80),
    "xm430_w350": Model(12.0, 4.1, 2.3, 46, 0.00269, 80),
    "xl430_w250": Model(12.0, 1.5, 1.4, 61, None, 72),
    "xl330_m288": Model(5.0, 0.52, 1.47, 103, 0.001, 70),
    "xl330_m077": Model(5.0, 0.215, 1.47, 383, 0.001, 70),
}
"""Servos of the supported arms by the names of the SDK's model files."""


def model(name: str) -> Model:
    """Return the data of a servo, or raise ``UsageError`` with the known ones."""
    if name not in MODELS:
        raise UsageError(f"no data for servo {name!r}; known: {', '.join(sorted(MODELS))}")
    return MODELS[name]

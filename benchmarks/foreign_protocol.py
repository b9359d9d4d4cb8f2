"""The protocol that somebody else's environment brings with it."""

from dataclasses import dataclass
from typing import Any

from benchmarks.protocol import NOMINAL, Condition, EvalProtocol
from envs.adapters import Foreign
from envs.success import Success


@dataclass(frozen=True)
class ForeignProtocol(EvalProtocol):
    """The nominal protocol of a foreign environment.

    Attributes:
        success: how success is read.
        horizon: steps until an episode is cut off.
        interface: what a policy sees and sends, as JSON.
    """

    success: str = ""
    horizon: int = 1
    interface: str = ""

    @classmethod
    def of(cls, env: Foreign, success: Success) -> "ForeignProtocol":
        """Return the protocol of ``env``, judged by ``success``."""
        spec = env.spec
        shapes = ", ".join(f"{key} {list(shape)}" for key, shape in env.shapes.items())
        return cls(
            id=f"{env.name}/nominal",
            task=env.name,
            robot=env.name,
            conditions=(Condition(NOMINAL),),
            success=success.text,
            horizon=env.horizon,
            interface=f"{shapes}; {list(spec.lower)} .. {list(spec.upper)} at {spec.control_hz} Hz",
        )

    def definition(self) -> dict[str, Any]:
        """Return everything that the trials depend on, as far as we can know it."""
        return {
            "id": self.id,
            "env": self.task,
            "success": self.success,
            "horizon": self.horizon,
            "interface": self.interface,
            "conditions": [
                {"name": NOMINAL, "axes": [], "tracks": list(self.conditions[0].tracks)}
            ],
            "trials": self.trials,
            "alpha": self.alpha,
            "n_max": self.n_max,
            "invalid_limit": self.invalid_limit,
        }

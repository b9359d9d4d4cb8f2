"""The servo's own trajectory to a goal: none, velocity-limited or trapezoidal."""

from math import copysign, inf, sqrt


class Profile:
    """Moves a set point towards a goal under limits of velocity and acceleration.

    Positions are in ticks, velocities in ticks/s; ``inf`` is no limit (registers at 0).
    """

    def __init__(self, position: float) -> None:
        """Rest at ``position``."""
        self.velocity_limit = self.acceleration_limit = inf
        self.stop(position)

    def stop(self, position: float) -> None:
        """Rest at ``position`` from now on."""
        self.position = self.goal = float(position)
        self.velocity = 0.0

    def head_for(self, goal: float, velocity: float, acceleration: float) -> None:
        """Set out for ``goal`` with at most ``velocity`` and ``acceleration`` (ticks/s^2)."""
        self.goal = float(goal)
        self.velocity_limit, self.acceleration_limit = velocity, acceleration

    def head_for_in(self, goal: float, total: float, ramp: float) -> None:
        """Set out for ``goal`` to arrive in ``total`` [s], each ramp taking ``ramp`` [s]."""
        ramp = min(ramp, total / 2)
        way = abs(goal - self.position)
        cruise = way / (total - ramp) if total > ramp else inf
        self.head_for(goal, cruise or inf, cruise / ramp if ramp and cruise else inf)

    def advance(self, dt: float) -> None:
        """Let ``dt`` [s] pass."""
        way = self.goal - self.position
        if self.velocity_limit == inf and self.acceleration_limit == inf:
            self.stop(self.goal)
            return
        a = self.acceleration_limit
        # Half a step ahead, so that the speed meets zero at the goal and not a step later.
        brake = (
            inf if a == inf else max(0.0, sqrt((a * dt / 2) ** 2 + 2 * a * abs(way)) - a * dt / 2)
        )
        wanted = copysign(min(self.velocity_limit, brake), way)
        change = inf if a == inf else a * dt
        speed = self.velocity + max(-change, min(change, wanted - self.velocity))
        if abs(speed * dt) >= abs(way) and speed * way >= 0 and abs(speed) <= max(change, brake):
            self.stop(self.goal)
            return
        self.velocity = speed
        self.position += speed * dt

    @property
    def moving(self) -> bool:
        """Whether the goal is not reached yet."""
        return self.position != self.goal

"""What the safety chain allows: settings of an operator, and the arrays made of them."""

from dataclasses import dataclass, replace

import numpy as np

from envs.arm import ArmSpec, Array
from envs.errors import UsageError


@dataclass(frozen=True)
class SafetyConfig:
    """Settings of the chain. Angles in rad, times in s.

    Attributes:
        lower, upper: ranges of single joints by name, narrower than the arm's own.
        velocity: no joint turns faster [rad/s]; a gripper keeps its own limit.
        brake: time in which a joint comes to rest from its largest velocity.
        jump: an action further than this from the present target is refused.
        outside: a measured angle may lie so far outside its range before it counts.
        clearance: a pose must keep this distance from table, box and itself [m]; negative: fingers
            may be sent a little into the table, on which they press.
        temperature: hottest motor [deg C].
        effort: share of the largest effort that a joint may need for ``strain``.
        strain: longest time at that effort.
        lag: a joint this far behind its target for ``blocked`` is blocked.
        blocked: see ``lag``.
        age: oldest reading of the motors that an action may be answered with.
        frame_age: the same for a camera's frame.
        lost: a reading older than this ends the trial.
        late: an action so much too late is not carried out.
        watchdog: longest time without commands after which the motors must stop by themselves.
        rejections: so many refused actions in a row end the trial.
        ramp: share of ``velocity`` on the way to a start pose.
        reached: so near to the start pose an episode may begin.
    """

    lower: tuple[tuple[str, float], ...] = ()
    upper: tuple[tuple[str, float], ...] = ()
    velocity: float = 3.2
    brake: float = 0.1
    jump: float = 0.5
    outside: float = 0.03
    clearance: float = -0.01
    temperature: float = 70.0
    effort: float = 0.95
    strain: float = 1.0
    lag: float = 0.35
    blocked: float = 0.3
    age: float = 0.03
    frame_age: float = 0.2
    lost: float = 0.2
    late: float = 0.02
    watchdog: float = 0.22
    rejections: int = 3
    ramp: float = 0.25
    reached: float = 0.15

    def __post_init__(self) -> None:
        """Refuse settings that cannot be.

        Raises:
            UsageError: a number that is not positive (``clearance`` may be negative).
        """
        for name, value in vars(self).items():
            if name in ("lower", "upper", "clearance"):
                continue
            if not (np.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be a positive number, got {value}")
        for name in ("effort", "ramp"):
            if getattr(self, name) > 1:
                raise UsageError(f"{name} is a share and must be at most 1, got {self}")
        if not (np.isfinite(self.clearance) and abs(self.clearance) <= 0.1):
            raise UsageError(f"clearance must be within 0.1 m, got {self.clearance}")

    def narrow(self, spec: ArmSpec) -> ArmSpec:
        """Return ``spec`` with the ranges and velocities that are left of it.

        Raises:
            UsageError: an unknown joint, or a range of which nothing is left or that the home pose
                is not in.
        """
        low, high = dict(self.lower), dict(self.upper)
        for name in {*low, *high} - set(spec.joints):
            raise UsageError(f"unknown joint {name!r}; known: {', '.join(spec.joints)}")
        ends = list(zip(spec.joints, spec.lower, spec.upper, strict=True))
        lower = tuple(max(lo, low.get(name, lo)) for name, lo, _ in ends)
        upper = tuple(min(hi, high.get(name, hi)) for name, _, hi in ends)
        for name, lo, at, hi in zip(spec.joints, lower, spec.home, upper, strict=True):
            if not lo <= at <= hi or lo == hi:
                raise UsageError(f"home of {name} must be in its range {lo:g}..{hi:g}, got {at:g}")
        free = set(spec.grippers)
        velocity = tuple(
            most if column in free else min(most, self.velocity)
            for column, most in enumerate(spec.velocity)
        )
        return replace(spec, lower=lower, upper=upper, velocity=velocity)


@dataclass(frozen=True, eq=False)
class Rules:
    """The settings as arrays (n,) for one arm, steps per control period.

    Attributes:
        spec: the arm, narrowed.
        config: the settings.
        lower, upper: range of the targets.
        bounds: largest step and largest change of the step, (2, n).
        jump, lag, effort: limits, infinite for grippers.
        period: control period [s].
    """

    spec: ArmSpec
    config: SafetyConfig
    lower: Array
    upper: Array
    bounds: Array
    jump: Array
    lag: Array
    effort: Array
    period: float

    @classmethod
    def of(cls, spec: ArmSpec, config: SafetyConfig | None = None) -> "Rules":
        """Make the rules for an arm.

        Raises:
            UsageError: settings that do not fit the arm.
        """
        config = config or SafetyConfig()
        spec = config.narrow(spec)
        limits, period = spec.limits, 1.0 / spec.control_hz
        change = limits.step * min(1.0, period / config.brake)
        change[list(spec.grippers)] = limits.step[list(spec.grippers)]
        return cls(
            spec=spec,
            config=config,
            lower=limits.lower,
            upper=limits.upper,
            bounds=np.stack([limits.step, change]),
            jump=_hinges(spec, np.full(spec.n, config.jump)),
            lag=_hinges(spec, np.full(spec.n, config.lag)),
            effort=_hinges(spec, np.array(spec.effort) * config.effort),
            period=period,
        )


def _hinges(spec: ArmSpec, values: Array) -> Array:
    """Return ``values`` (n,), infinite for grippers: they grasp, so they lag and strain."""
    values[list(spec.grippers)] = np.inf
    return values

"""The safety chain: every command to a real arm passes it, step by step, in this order.

shape and finiteness -> joint limits, commanded and measured -> continuity -> velocity and
acceleration -> workspace, table and self-collision by forward kinematics -> temperature, effort,
hardware errors -> deadline and stale readings -> the motors' own watchdog -> emergency stop.

Each step is a pure function that returns what it found. ``check`` runs them all and returns the
targets that may go to the motors: an action as it was asked for, or clamped, or else the next point
of the braking that was proven safe in the period before. docs/safety.md explains every message.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from envs.arm import Array
from real.machine import Cleared
from real.motion import braked, braking_path, next_step
from real.rules import Rules
from real.stop import Reaction
from real.verdict import (
    BLOCKED,
    INVALID_HARDWARE,
    REJECTED,
    STOPPED,
    Finding,
    Outcome,
    State,
    Tick,
    Verdict,
)  # fmt: skip

Clearance = Callable[[Array], tuple[float, str]]
"""Distance of a pose (n,) from harm [m] and what is nearest, as ``Statics.clearance``."""

SAG = 0.01
"""How much deeper than a commanded pose the measured one may be before it counts [m]."""


def check(tick: Tick, state: State, rules: Rules, clearance: Clearance) -> tuple[State, Outcome]:
    """Pass one action through the chain; return the state that follows and what goes out."""
    state = _remember(tick, state, rules)
    step, findings = _proposed(tick, state, rules, clearance)
    findings += [*healthy(tick, state, rules), *timely(tick, rules)]
    findings += [*watched(tick, rules), *stopped(tick)]
    verdict = max([Verdict.PASSED, *(finding.verdict for finding in findings)])
    rejected = state.rejected + 1 if verdict == Verdict.REJECTED else state.rejected
    if verdict <= Verdict.CLAMPED:
        rejected = 0
    if rejected >= rules.config.rejections:
        findings.append(Finding("refused actions in a row", Verdict.REJECTED, ends=REJECTED))
    rest = state.rest
    if any(finding.ends == BLOCKED for finding in findings) and rest is None:
        rest = np.clip(tick.sensed.qpos, rules.lower, rules.upper)
    if tick.wanted is None:
        verdict = max(verdict, Verdict.HELD)
    if verdict >= Verdict.HELD or step is None:
        findings = [finding for finding in findings if finding.verdict >= Verdict.HELD]
        step = _held(replace(state, rest=rest), rules, clearance)
    target = np.clip(state.target + step, rules.lower, rules.upper)
    ends = next((finding.ends for finding in findings if finding.ends), "")
    cleared = None if verdict == Verdict.LIMP else Cleared(target.copy())
    state = replace(state, target=target, step=step, rejected=rejected, rest=rest)
    return state, Outcome(verdict, cleared, tuple(findings), ends)


def _proposed(
    tick: Tick, state: State, rules: Rules, clearance: Clearance
) -> tuple[Array | None, list[Finding]]:
    """Return the step (n,) that an action leads to, None if there is none, and what was found."""
    if tick.wanted is None:
        return None, []
    wanted, findings = sound(tick.wanted, rules)
    if wanted is None:
        return None, findings
    wanted, found = in_range(wanted, rules)
    findings += [*found, *continuous(wanted, state, rules)]
    wanted, found = inward(wanted, tick.sensed.qpos, state, rules)
    step, more = limited(wanted, state, rules)
    findings += [*found, *more]
    findings += clear(step, state, tick.sensed.qpos, rules, clearance)
    return step, findings


def _held(state: State, rules: Rules, clearance: Clearance) -> Array:
    """Return the step of braking, or the way to where a blocked arm relaxes."""
    if state.rest is not None:
        step, _ = limited(state.rest, state, rules)
        if not clear(step, state, state.rest, rules, clearance):
            return step
    return braked(state.step, rules.bounds[1])


def _remember(tick: Tick, state: State, rules: Rules) -> State:
    """Count for how long each joint has strained and lagged."""
    strain = np.abs(tick.sensed.effort) > rules.effort
    lag = np.abs(state.target - tick.sensed.qpos) > rules.lag
    return replace(
        state,
        strained=np.where(strain, state.strained + rules.period, 0.0),
        behind=np.where(lag, state.behind + rules.period, 0.0),
    )


def sound(wanted: Any, rules: Rules) -> tuple[Array | None, list[Finding]]:  # noqa: ANN401
    """Return an action as floats (n,); refuse what is no row of n finite numbers."""
    try:
        array = np.asarray(wanted, dtype=float)
    except (TypeError, ValueError):
        return None, [Finding("no numbers in the action", Verdict.REJECTED)]
    if array.shape != (rules.spec.n,):
        size = float(array.size)
        found = Finding("shape of the action", Verdict.REJECTED, "", size, rules.spec.n, "numbers")
        return None, [found]
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        joint = rules.spec.joints[int(bad[0])]
        return None, [Finding("not finite: target", Verdict.REJECTED, joint)]
    return array, []


def in_range(wanted: Array, rules: Rules) -> tuple[Array, list[Finding]]:
    """Clamp targets to the joints' ranges; refuse those further outside than a jump."""
    inside = np.clip(wanted, rules.lower, rules.upper)
    over = np.abs(wanted - inside)
    if not over.any():
        return inside, []
    verdict = Verdict.REJECTED if (over > rules.jump).any() else Verdict.CLAMPED
    joint = int(over.argmax())
    limit = float(inside[joint])
    return inside, [_joint("joint limit", verdict, joint, (float(wanted[joint]), limit), rules)]


def continuous(wanted: Array, state: State, rules: Rules) -> list[Finding]:
    """Refuse a jump from the present target, as where an episode begins elsewhere."""
    far = np.abs(wanted - state.target)
    if (far <= rules.jump).all():
        return []
    joint = int(np.argmax(far / rules.jump))
    values = (float(far[joint]), float(rules.jump[joint]))
    return [_joint("jump", Verdict.REJECTED, joint, values, rules)]


def inward(
    wanted: Array, measured: Array, state: State, rules: Rules
) -> tuple[Array, list[Finding]]:
    """Let a joint that is measured outside its range move back only."""
    slack = rules.config.outside
    above, below = measured > rules.upper + slack, measured < rules.lower - slack
    back = np.where(above, np.minimum(wanted, state.target), wanted)
    back = np.where(below, np.maximum(back, state.target), back)
    if not (above | below).any():
        return back, []
    joint = int(np.argmax(np.maximum(measured - rules.upper, rules.lower - measured)))
    limit = rules.upper if above[joint] else rules.lower
    values = (float(measured[joint]), float(limit[joint]))
    return back, [_joint("measured outside its range", Verdict.CLAMPED, joint, values, rules)]


def limited(wanted: Array, state: State, rules: Rules) -> tuple[Array, list[Finding]]:
    """Return the step towards ``wanted`` that velocity, acceleration and braking distance allow."""
    room = (state.target - rules.lower, rules.upper - state.target)
    asked = wanted - state.target
    step = next_step(asked, state.step, room, rules.bounds)
    cut = np.abs(asked - step)
    if (cut < 1e-9).all():
        return step, []
    joint = int(np.argmax(cut / rules.bounds[0]))
    values = (float(asked[joint]) / rules.period, float(step[joint]) / rules.period)
    return step, [_joint("velocity", Verdict.CLAMPED, joint, values, rules, "/s")]


def clear(
    step: Array, state: State, measured: Array, rules: Rules, clearance: Clearance
) -> list[Finding]:
    """Refuse a step if it, or braking after it, comes too near to table, box or the arm itself.

    Where the arm is already too near, commanded or measured, it may only move away.
    """
    here, limit = clearance(state.target)[0], rules.config.clearance
    if np.isfinite(measured).all() and clearance(measured)[0] < limit - SAG:
        limit = max(limit, here)
    limit = min(limit, here)
    target = np.clip(state.target + step, rules.lower, rules.upper)
    path = [target, *braking_path(target, step, rules.bounds[1])]
    near, what = min(clearance(pose) for pose in path)
    if near >= limit - 1e-9:
        return []
    return [Finding("workspace", Verdict.REJECTED, what, near, limit, "m")]


def healthy(tick: Tick, state: State, rules: Rules) -> list[Finding]:
    """Hold where a motor reports a fault, is too hot, or a joint strains or is blocked."""
    config, sensed = rules.config, tick.sensed
    found = [
        Finding(f"motor fault ({fault})", Verdict.HELD, motor, ends=INVALID_HARDWARE)
        for motor, fault in sensed.faults.items()
    ]
    limit = config.temperature
    found += [
        Finding("temperature", Verdict.HELD, motor, value, limit, "deg C", INVALID_HARDWARE)
        for motor, value in sensed.temperature.items()
        if not value <= limit
    ]
    for what, times, longest in (
        ("effort", state.strained, config.strain),
        ("blocked", state.behind, config.blocked),
    ):
        if (times > longest).any():
            joint = rules.spec.joints[int(times.argmax())]
            value = float(times.max())
            found.append(Finding(what, Verdict.HELD, joint, value, longest, "s", BLOCKED))
    return found


def timely(tick: Tick, rules: Rules) -> list[Finding]:
    """Hold where motors did not answer, a reading or a frame is old, or the action came late."""
    config, age = rules.config, tick.now - tick.sensed.stamp
    over = INVALID_HARDWARE if age > config.lost else ""
    found = [Finding("no answer", Verdict.HELD, motor, ends=over) for motor in tick.lost]
    if not -rules.period <= age <= config.age:
        found.append(Finding("stale reading", Verdict.HELD, "", age, config.age, "s", over))
    if not (np.isfinite(tick.sensed.qpos).all() and np.isfinite(tick.sensed.effort).all()):
        found.append(Finding("reading that is not finite", Verdict.HELD))
    limit = config.frame_age
    found += [
        Finding("stale frame", Verdict.HELD, name, value, limit, "s")
        for name, value in tick.sensed.ages.items()
        if not value <= limit
    ]
    if not tick.late <= config.late:
        found.append(Finding("late action", Verdict.HELD, "", tick.late, config.late, "s"))
    return found


def watched(tick: Tick, rules: Rules) -> list[Finding]:
    """Hold motors that would not stop by themselves if this program died."""
    limit, armed = rules.config.watchdog, tick.watchdog_s
    if armed is not None and 0 < armed <= limit:
        return []
    value = float("inf") if armed is None else armed
    return [Finding("watchdog", Verdict.HELD, "", value, limit, "s", INVALID_HARDWARE)]


def stopped(tick: Tick) -> list[Finding]:
    """Hold, or make limp, when somebody asked for it."""
    request = tick.request
    if request is None:
        return []
    verdict = Verdict.LIMP if request.reaction is Reaction.LIMP else Verdict.HELD
    return [Finding("emergency stop", verdict, request.source, ends=STOPPED)]


def _joint(
    what: str,
    verdict: Verdict,
    joint: int,
    values: tuple[float, float],
    rules: Rules,
    per: str = "",
) -> Finding:
    """Return a finding about one joint, (value, limit), in its unit."""
    unit = "opening" if joint in rules.spec.grippers else "rad"
    value, limit = values
    return Finding(what, verdict, rules.spec.joints[joint], value, limit, f"{unit}{per}")

"""The only way to command a real arm: a machine behind the safety chain, as an ``Arm``."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from envs.arm import Arm, Array, InitialCondition, Observation
from envs.errors import UsageError
from real.machine import Machine, MachineError, NoAnswerError, Sensed
from real.rules import Rules, SafetyConfig
from real.safety import Clearance, check
from real.safety_log import SafetyLog
from real.stop import StopBoard
from real.verdict import (
    BLOCKED,
    INVALID_HARDWARE,
    STOPPED,
    Outcome,
    Sent,
    State,
    Tick,
    Verdict,
    in_words,
)

Timer = tuple[Callable[[], float], Callable[[float], None]]
"""A clock [s], and how to wait [s]."""

SETTLE_S = 1.5
"""So long may the arm take to come to rest at a start pose."""

PATIENCE_S = 5.0
"""So long may the arm be held, all in all, on the way to a start pose."""

PEAK = 15 / 8
"""Largest velocity of a minimum-jerk motion, as a multiple of its mean (Flash and Hogan 1985)."""


class StoppedError(RuntimeError):
    """The trial is over; the arm is held, or limp if somebody asked for that.

    Attributes:
        ends: why: ``rejected``, ``blocked``, ``invalid_hardware`` or ``stopped``.
    """

    def __init__(self, ends: str, text: str) -> None:
        """Say why."""
        super().__init__(f"{ends}: {text}")
        self.ends = ends


class SafeArm(Arm):
    """An arm whose every command passes the safety chain.

    ``home`` comes first: it switches nothing on that is not on, and goes to the start pose slowly.
    ``command`` keeps the control rate. Whoever has no action calls ``keep`` once a control period,
    or the motors' watchdog stops them.

    Attributes:
        spec: the arm with the limits that are in force.
        rules: those limits and the others.
        sensed: the newest reading of the motors.
        stop: where an emergency stop is asked for.
        log: what the chain found.
        outcome: of the last control period.
        ages: of other inputs that the next action was decided on, such as camera frames [s].
        ends: why the trial is over, empty while it goes on.
        limp: whether the torque is off.
    """

    def __init__(
        self,
        machine: Machine,
        clearance: Clearance,
        config: SafetyConfig | None = None,
        stop: StopBoard | None = None,
        log: SafetyLog | None = None,
        timer: Timer = (time.monotonic, time.sleep),
    ) -> None:
        """Switch the motors on where they are.

        Args:
            machine: the motors.
            clearance: distance of a pose from harm, such as ``Statics(robot).clearance``.
            config: settings of the chain.
            stop: where an emergency stop is asked for.
            log: where findings go.
            timer: the clock of the machine's stamps [s], and how to wait [s].

        Raises:
            UsageError: settings that do not fit the arm.
            MachineError: a motor that cannot be switched on.
        """
        self.rules = Rules.of(machine.spec, config)
        self.spec = self.rules.spec
        self.stop, self.log = stop or StopBoard(), log or SafetyLog()
        self._machine, self._clearance = machine, clearance
        self._clock, self._sleep = timer
        self.ends, self.limp = "", False
        self.ages: Mapping[str, float] = {}
        self._homed = False
        self.outcome: Outcome | None = None
        self._lost: tuple[str, ...] = ()
        self._switch_on()

    def _switch_on(self) -> None:
        self.sensed: Sensed = self._machine.enable()
        self._state = State.at(self.sensed.qpos, self.rules)
        self._due = self._clock()
        self._lost = ()

    def home(self, start: InitialCondition) -> Observation:
        """Go to the start pose on a smooth ramp and observe it; objects are the operator's.

        Raises:
            UsageError: a pose outside the limits.
            StoppedError: the arm was stopped on the way, or did not arrive.
        """
        goal = np.array(start.qpos, float)
        fits = goal.shape == (self.spec.n,)
        if not fits or not ((goal >= self.rules.lower) & (goal <= self.rules.upper)).all():
            raise UsageError(f"a start pose must be within the limits of {self.spec.name}")
        self._refuse_if_over()
        for pose in self._ramp(goal):
            self._pass(pose)
        tries = round(SETTLE_S / self.rules.period)
        while (far := self._far_from(goal)) and tries:
            self._pass(goal)
            tries -= 1
        if far:
            raise StoppedError(BLOCKED, f"the start pose was not reached by {far}")
        self._homed = True
        return self.observe()

    def command(self, target: Array) -> Observation:
        """Pass targets (n,) through the chain; return the observation one control period later.

        Raises:
            StoppedError: the trial is over.
            ValueError: the arm has not been brought to a start pose.
        """
        self._refuse_if_over()
        if not self._homed:
            raise ValueError("home the arm before you command it")
        self._pass(target)
        return self.observe()

    def keep(self) -> Outcome:
        """Let one control period pass without an action: the arm brakes, or stays where it is."""
        return self._tick(None)

    def resume(self) -> None:
        """Be ready for the next trial after a stop; ``home`` follows.

        Raises:
            StoppedError: somebody still asks for a stop.
            MachineError: a motor that cannot be switched on again, named.
        """
        request = self.stop.release()
        if request is not None:
            raise StoppedError(STOPPED, f"{request.source} still asks for {request.reaction.value}")
        if self.limp or self.ends == INVALID_HARDWARE:
            self._switch_on()
        else:
            self._state = State.at(self._state.target, self.rules)
        self.ends, self.limp, self._homed = "", False, False

    def observe(self) -> Observation:
        """Return the newest reading as an observation."""
        seen = self.sensed
        values = {"qpos": seen.qpos, "qvel": seen.qvel, "effort": seen.effort}
        return {key: np.asarray(value, np.float32) for key, value in values.items()}

    @property
    def sent(self) -> Sent:
        """What became of the last command."""
        verdict = Verdict.PASSED if self.outcome is None else self.outcome.verdict
        return Sent(self._state.target.copy(), verdict)

    @property
    def age(self) -> float:
        """Age of the newest reading [s]."""
        return self._clock() - self.sensed.stamp

    @property
    def counts(self) -> dict[str, int]:
        """What happened on the line so far, by name; empty where the motors' driver counts none."""
        return dict(getattr(self._machine, "counts", {}))

    def health(self) -> dict[str, Any]:
        """Return ``watchdog_s`` of the motors, their ``temperature`` [deg C] and ``faults``."""
        seen = self.sensed
        told = {"temperature": dict(seen.temperature), "faults": dict(seen.faults)}
        return {"watchdog_s": self._machine.watchdog_s, **told}

    def close(self) -> None:
        """Switch the torque off and release the bus: support an arm that is not parked."""
        self._machine.close()
        self.log.close()

    def _pass(self, target: Any) -> None:  # noqa: ANN401  (whatever a policy returns)
        self._tick(target)
        self._refuse_if_over()

    def _refuse_if_over(self) -> None:
        if self.ends:
            found = self.outcome.findings if self.outcome is not None else ()
            raise StoppedError(self.ends, in_words(found) or "call resume() first")

    def _tick(self, wanted: Any) -> Outcome:  # noqa: ANN401
        """Pass one action through the chain, send what is cleared, wait and read the motors."""
        late = max(0.0, self._clock() - self._due)
        if late > self.rules.config.late:  # the arm went on meanwhile: see where it is
            self._read()
            self._due = self._clock()
        now = self._clock()
        tick = Tick(
            wanted=None if self.ends else wanted,
            sensed=replace(self.sensed, ages={**self.sensed.ages, **self.ages}),
            now=now,
            late=late,
            lost=self._lost,
            watchdog_s=self._machine.watchdog_s,
            request=self.stop.request(),
        )
        self._state, outcome = check(tick, self._state, self.rules, self._clearance)
        self._lost = ()
        self._send(outcome)
        self._due += self.rules.period
        self._sleep(max(0.0, self._due - self._clock()))
        self._read()
        self.outcome, self.ends = outcome, self.ends or outcome.ends
        self.log.add(now, outcome)
        return outcome

    def _send(self, outcome: Outcome) -> None:
        try:
            if outcome.verdict == Verdict.LIMP or self.limp:
                self.limp = True
                self._machine.limp()
            elif outcome.cleared is not None:
                self._machine.drive(outcome.cleared)
        except NoAnswerError as error:
            self._lost = error.motors
        except MachineError as error:
            self._lost = (f"the bus ({error})",)

    def _read(self) -> None:
        """Read the motors; a failed reading leaves the old one with its old stamp."""
        try:
            self.sensed = self._machine.sense()
        except NoAnswerError as error:
            self._lost = tuple(dict.fromkeys((*self._lost, *error.motors)))
        except MachineError as error:
            self._lost = (f"the bus ({error})",)

    def _ramp(self, goal: Array) -> Iterator[Array]:
        """Yield minimum-jerk poses to ``goal``; time stands still while the arm is held."""
        start = self._state.target.copy()
        speed = self.rules.bounds[0] * self.rules.config.ramp
        periods = int(np.ceil((np.abs(goal - start) / speed).max() * PEAK)) + 1
        done = waited = 0
        while done < periods:
            t = (done + 1) / periods
            yield start + (goal - start) * (10 * t**3 - 15 * t**4 + 6 * t**5)
            if self.outcome is None or self.outcome.verdict < Verdict.HELD:
                done += 1
                continue
            waited += 1
            if waited * self.rules.period > PATIENCE_S:
                found = in_words(self.outcome.findings)
                raise StoppedError(BLOCKED, f"held for too long on the way to the start: {found}")

    def _far_from(self, goal: Array) -> str:
        """Return the joints that are not at ``goal`` yet."""
        far = np.abs(self.sensed.qpos - goal) > self.rules.config.reached
        return ", ".join(self.spec.joints[k] for k in self.spec.hinges if far[k])

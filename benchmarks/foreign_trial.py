"""A wave of trials in somebody else's environment, described as any other trials are."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.execution import Execution
from benchmarks.foreign_protocol import ForeignProtocol
from benchmarks.latency import NOT_TIMED, Probe
from benchmarks.lines import Record
from benchmarks.protocol import Wave
from benchmarks.trial import Runner, WaveResult, actions_digest, begun, next_action
from envs.adapters import Foreign
from envs.arm import Array, InitialCondition, Observation
from envs.success import Success, Verdict
from policies.base import Policy
from policies.chunking import Controller
from policies.remote import PolicyAwayError, PolicyGoneError


@dataclass
class Episode:
    """One running trial.

    Attributes:
        env: where it runs.
        verdict: its success so far.
        seen: last observation.
        actions: sent so far, within the bounds.
        clamps: actions that a bound changed.
        over: it has ended.
        cut: it ended by the clock, its own or ours.
        error: what the policy did wrong.
        broken: what the environment did wrong.
    """

    env: Foreign
    verdict: Verdict
    seen: Observation
    actions: list[Array] = field(default_factory=list)
    clamps: int = 0
    over: bool = False
    cut: bool = False
    error: str = ""
    broken: str = ""

    def step(self, wanted: Array) -> None:
        """Send an action (n,)."""
        action = self.env.limited(wanted)
        self.clamps += bool((action != wanted).any())
        self.actions.append(action)
        try:
            self.seen, reward, terminated, truncated, info = self.env.step(action)
        except Exception as error:  # what somebody else's code does is not the policy's fault
            self.over, self.broken = True, f"environment: {type(error).__name__}: {error}"
            return
        self.verdict.add(reward, info)
        self.cut = not terminated and (truncated or len(self.actions) >= self.env.horizon)
        self.over = terminated or self.cut
        if self.over:
            self.verdict.check(self.env.name)

    def stop(self, why: str) -> None:
        """End the trial: its policy failed."""
        self.over, self.error, self.verdict.now = True, why, False

    def failure(self) -> str | None:
        """Return the label of a failure, None of a success."""
        if self.error:
            return "policy_error"
        if self.verdict.now:
            return None
        if self.verdict.ever:
            return "unstable"
        return "timeout" if self.cut else "other"

    def record(self) -> Record:
        """Return the part of the record that follows from what happened."""
        success, steps = self.verdict.now and not self.broken, len(self.actions)
        value = self.verdict.value
        actions = np.array(self.actions, np.float32).reshape(steps, self.env.spec.n)
        return {
            "status": "invalid" if self.broken else "valid",
            "reason": self.broken or self.error or None,
            "success": success,
            "success_any": self.verdict.ever,
            "success_final": success,
            "stage": int(success),
            "progress": float(success),
            "failure": None if self.broken else self.failure(),
            "tags": [],
            "steps": steps,
            "duration_s": steps / self.env.spec.control_hz,
            "quality": {
                "sparc": None,
                "path_ratio": None,
                "contact_peak_n": None,
                "return": round(value, 5) if math.isfinite(value) else None,
            },
            "clamps": self.clamps,
            "actions_sha256": actions_digest(actions),
            "final_sha256": seen_digest(self.seen),
            "video": None,
        }


def seen_digest(seen: Observation) -> str:
    """SHA-256 of an observation, entry by entry in the order of their names."""
    data = b"".join(np.ascontiguousarray(seen[key]).tobytes() for key in sorted(seen))
    return hashlib.sha256(data).hexdigest()


class ForeignRunner(Runner):
    """Runs waves of one policy in one foreign environment; lives in a worker process."""

    def __init__(
        self,
        policy: Policy,
        name: str,
        protocol: ForeignProtocol,
        execution: Execution,
        split: str,
        make: Callable[[], Foreign],
    ) -> None:
        """Prepare; ``make`` makes one environment."""
        super().__init__(policy, name, protocol, execution, split)
        self._make, self._success = make, Success(protocol.success)
        self._envs: list[Foreign] = []

    def attempt(self, wave: Wave) -> WaveResult:
        """Run a wave once and describe each trial."""
        ics = range(wave.first, wave.first + wave.count)
        seeds = [self.protocol.seeds(ic, self.split) for ic in ics]
        while len(self._envs) < wave.count:
            self._envs.append(self._make())
        rows = [
            Episode(env, Verdict(self._success), env.reset(seed["ic"]))
            for env, seed in zip(self._envs, seeds, strict=False)
        ]
        probe = Probe(self.policy)
        controller = self.execution.controller(probe)
        lost = begun(controller, [""] * wave.count, [seed["policy"] for seed in seeds])
        gone = self._roll(controller, rows, lost)
        latency = NOT_TIMED if gone else self.latency(probe, "", seeds[0]["policy"])
        records = []
        for ic, seed, row in zip(ics, seeds, rows, strict=True):
            key = self.key(wave, ic)
            start = InitialCondition(row.env.spec.home, {}, seed=seed["ic"]).to_json()
            records.append(
                {**row.record(), "key": key, "seeds": seed, "start": start, "latency": latency}
            )
        away = isinstance(lost, PolicyAwayError)
        return WaveResult(wave, records, *_padded(rows), gone=gone, away=away)

    def _roll(
        self, controller: Controller, rows: Sequence[Episode], lost: PolicyGoneError | None
    ) -> str:
        """Run all trials to their ends, or until the policy's server is gone; say why it is."""
        try:
            if lost is not None:
                raise lost
            while not all(row.over for row in rows):
                self._step(controller, rows)
        except PolicyGoneError as gone:
            for row in rows:
                if not row.over:
                    row.over, row.broken = True, str(gone)
            return str(gone)
        return ""

    def _step(self, controller: Controller, rows: Sequence[Episode]) -> None:
        """Let the policy act once in every trial that still runs."""
        actions, problem = self._actions(controller, rows)
        bad = controller.errors | ~np.isfinite(actions).all(axis=1)
        for row, action, failed in zip(rows, actions, bad, strict=True):
            if row.over:
                continue
            if failed:
                row.stop(problem or f"NaN or a wrong shape at step {len(row.actions)}")
            else:
                row.step(action)

    def _actions(self, controller: Controller, rows: Sequence[Episode]) -> tuple[Array, str]:
        """Return the actions (N, n) float32, and what the policy did wrong, if it did."""
        keys = ("qpos", *self.policy.spec.observations)
        shape = (len(rows), self.policy.spec.n)

        def see() -> Observation:
            return {key: np.stack([row.seen[key] for row in rows]) for key in keys}

        return next_action(controller, see, shape)


def _padded(rows: Sequence[Episode]) -> tuple[Array, Array]:
    """Return the actions (N, T, n) float32, zero behind a trial's end, and lengths (N,)."""
    lengths = np.array([len(row.actions) for row in rows])
    actions = np.zeros((len(rows), int(lengths.max(initial=0)), rows[0].env.spec.n), np.float32)
    for row, to in zip(rows, actions, strict=True):
        to[: len(row.actions)] = np.array(row.actions).reshape(-1, to.shape[1])
    return actions, lengths

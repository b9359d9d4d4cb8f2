"""May we stop: the sequential test of two runs, finished or not, in the protocol's order."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.records import Run, made_in, read_run
from benchmarks.stats.sequential import Decision, SignTest, Stopping
from envs.errors import UsageError

Unit = tuple[int, int]
"""What pairs two trials: initial condition and repeat."""


@dataclass(frozen=True)
class Verdict:
    """What the sequential test says of two runs.

    Attributes:
        names: the two runs.
        protocol: id of their protocol.
        condition: which trials.
        test: after the last pair that entered.
        later: pairs that came after the decision; they do not enter.
        single: trials that only one of the two has, before the last pair.
    """

    names: tuple[str, str]
    protocol: str
    condition: str
    test: SignTest
    later: int
    single: int

    def lines(self) -> list[str]:
        """Say it: the decision, what it rests on, what to do."""
        test, rule = self.test, self.test.rule
        alike = test.pairs - test.wins - test.losses
        said = [
            f"{self.names[0]} against {self.names[1]}, {self.condition} of {self.protocol}: "
            f"{self._outcome()}",
            f"{test.pairs} of at most {rule.n_max} pairs: {test.wins} for the first, "
            f"{test.losses} for the second, {alike} alike (two-sided alpha {rule.alpha:g}, "
            "spent pair by pair).",
        ]
        if self.later:
            said.append(f"{self.later} later pairs do not enter: the rule stopped before them.")
        if self.single:
            said.append(f"{self.single} trials without their counterpart were left out.")
        return said

    def _outcome(self) -> str:
        won = {Decision.A_BETTER: self.names[0], Decision.B_BETTER: self.names[1]}
        if self.test.decision in won:
            return f"stop, {won[self.test.decision]} is better"
        if self.test.decision is Decision.UNDECIDED:
            return "stop, no difference was found"
        return "go on, nothing is decided yet"


def decide(first: Path, second: Path, condition: str) -> Verdict:
    """Feed the pairs of two runs to the rule of their protocol, in order of initial condition.

    Raises:
        UsageError: a run cannot be read, the two cannot be paired, or have no pair there.
    """
    runs = read_run(first), read_run(second)
    try:
        return _decide(*runs, condition)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{first} and {second} cannot be compared, their records lack what it takes: {error!r}"
        ) from error


def _decide(a: Run, b: Run, condition: str) -> Verdict:
    _check_pair(a, b)
    stated = a.manifest["protocol"]
    outcomes = [_outcomes(run, condition) for run in (a, b)]
    common = sorted(set(outcomes[0]) & set(outcomes[1]))
    if not common:
        known = ", ".join(sorted({*a.cells()} & {*b.cells()})) or "none"
        raise UsageError(f"no pair of trials under {condition!r}; both have: {known}")
    test = SignTest(_rule(a, b))
    for unit in common:
        if test.decision is Decision.CONTINUE:
            test.update(*(found[unit] for found in outcomes))
    last = common[test.pairs - 1]
    single = sum(unit < last for unit in set(outcomes[0]) ^ set(outcomes[1]))
    names = a.manifest["run"], b.manifest["run"]
    return Verdict(names, stated["id"], condition, test, len(common) - test.pairs, single)


def _rule(a: Run, b: Run) -> Stopping:
    """Return the rule that was fixed for the two: of their session, or of their protocol."""
    sessions = [run.manifest.get("session", {}) for run in (a, b)]
    if sessions[0].get("lock") is None or sessions[0]["lock"] != sessions[1].get("lock"):
        stated = a.manifest["protocol"]["definition"]
        return Stopping(stated["alpha"], stated["n_max"])
    stated, arms = sessions[0]["stopping"], sessions[0]["policies"]
    return Stopping(stated["alpha"] / max(1, arms * (arms - 1) // 2), stated["n_max"])


def _check_pair(a: Run, b: Run) -> None:
    """Refuse runs whose trials do not begin alike."""
    facts = [
        {
            "protocol": run.manifest["protocol"]["hash"],
            "track": run.manifest["track"],
            "split": run.manifest["plan"]["split"],
            "simulated model or renderer": made_in(run.manifest),
        }
        for run in (a, b)
    ]
    differ = [name for name in facts[0] if facts[0][name] != facts[1][name]]
    if differ:
        raise UsageError(
            f"{a.folder} and {b.folder} cannot be paired, they differ in {', '.join(differ)}"
        )
    if a.folder.resolve() == b.folder.resolve():
        raise UsageError(f"two different runs are needed, got {a.folder} twice")


def _outcomes(run: Run, condition: str) -> dict[Unit, bool]:
    """Return the success of each valid trial under ``condition``."""
    return {
        (trial["key"]["ic"], trial["key"]["repeat"]): bool(trial["success"])
        for trial in run.cells().get(condition, [])
        if trial["status"] == "valid"
    }

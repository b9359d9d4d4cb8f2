"""What one check of the gate says."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

PASS, FAIL, NOT_RUN = "pass", "fail", "not run"
INCOMPLETE = "incomplete"

NAMES: Mapping[str, str] = {
    "artefact": "Artefact and specification",
    "statistics": "Statistics of the training data",
    "canary": "Stored observation",
    "actions": "Action space, rate and stride",
    "recorded": "Finite and within limits",
    "nominal": "Success on nominal starts",
    "perturbed": "Success in changed scenes",
    "latency": "Latency under load",
    "loop": "The loop on the twin",
}
"""The checks in their order."""


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: of ``NAMES``.
        outcome: ``pass``, ``fail`` or ``not run``.
        text: what was found, in a sentence.
        cause: what is wrong, in a few words; empty unless it failed.
        evidence: the numbers behind it, as JSON; a list of objects is a table.
    """

    name: str
    outcome: str
    text: str
    cause: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a check that is not known, and a failure without a cause."""
        if self.name not in NAMES:
            raise ValueError(f"unknown check {self.name!r}; known: {', '.join(NAMES)}")
        if self.outcome not in (PASS, FAIL, NOT_RUN) or (self.outcome == FAIL) != bool(self.cause):
            raise ValueError(f"a failed check has a cause, got {self.outcome!r}, {self.cause!r}")

    @property
    def title(self) -> str:
        """Its name for people."""
        return NAMES[self.name]

    def to_json(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)


def passed(name: str, text: str, **evidence: Any) -> Check:  # noqa: ANN401  (JSON)
    """Return a check that passed."""
    return Check(name, PASS, text, evidence=evidence)


def failed(name: str, cause: str, text: str, **evidence: Any) -> Check:  # noqa: ANN401
    """Return a check that failed."""
    return Check(name, FAIL, text, cause, evidence)


def skipped(name: str, text: str) -> Check:
    """Return a check that was not run, and why."""
    return Check(name, NOT_RUN, text)


def outcome_of(checks: tuple[Check, ...]) -> str:
    """Return ``fail`` if one failed, ``incomplete`` if one was not run, else ``pass``."""
    found = {check.outcome for check in checks}
    if FAIL in found:
        return FAIL
    whole = found == {PASS} and [check.name for check in checks] == list(NAMES)
    return PASS if whole else INCOMPLETE

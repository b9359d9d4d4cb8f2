"""What the safety chain found, for people and for records: counts, and a JSON line per event."""

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any, TextIO

from real.verdict import Outcome, Verdict, in_words

_log = logging.getLogger(__name__)


class SafetyLog:
    """Counts verdicts and findings; writes those worth reading into a file as they come.

    Attributes:
        verdicts: control periods by verdict.
        findings: control periods by what was found.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Append to ``path``, or only count."""
        self.verdicts: Counter[str] = Counter()
        self.findings: Counter[str] = Counter()
        self._told: tuple[object, ...] = (Verdict.PASSED,)
        self._file: TextIO | None = None if path is None else path.open("a", encoding="utf-8")

    def add(self, time_s: float, outcome: Outcome) -> None:
        """Take one control period at ``time_s``; a line is written when something changes."""
        self.verdicts[outcome.verdict.name.lower()] += 1
        for finding in outcome.findings:
            self.findings[finding.what] += 1
        told = (outcome.verdict, *((found.what, found.where) for found in outcome.findings))
        if told == self._told:
            return
        self._told = told
        if outcome.verdict >= Verdict.HELD and outcome.findings:
            found = in_words(outcome.findings)
            _log.warning("%s: %s", outcome.verdict.name.lower(), found)
        if self._file is not None:
            self._file.write(json.dumps(to_json(time_s, outcome)) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def read_events(path: Path, since: float, until: float) -> list[dict[str, Any]]:
    """Return what a log's file says of the time ``since`` to ``until`` [s], as ``to_json``."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    events = [json.loads(line) for line in lines]
    return [event for event in events if since <= event["time"] <= until]


def to_json(time_s: float, outcome: Outcome) -> dict[str, Any]:
    """Return one control period as JSON values; no number in it is infinite."""
    findings = [
        {
            "what": finding.what,
            "verdict": finding.verdict.name.lower(),
            "where": finding.where,
            "text": str(finding),
        }
        for finding in outcome.findings
    ]
    cleared = outcome.cleared
    return {
        "time": round(time_s, 4),
        "verdict": outcome.verdict.name.lower(),
        "ends": outcome.ends,
        "target": None if cleared is None else [round(float(x), 5) for x in cleared.target],
        "findings": findings,
    }

"""Evaluate policies blindly on an arm: plan, lock, trials with a person, close."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import OmitArgPrefixes, subcommand

from scripts.session_lock import Lock, Plan
from scripts.session_page import Report
from scripts.session_run import Close, Run, Status

EXAMPLES = """
armtrials session plan --blocks 40 --better 0.9
armtrials session lock --policy runs/act runs/diffusion --twin --blocks 20 --out sessions/monday
armtrials session lock --policy runs/act runs/bc --port /dev/ttyUSB0 --calibration calibration.json
armtrials session run sessions/monday --who kim
armtrials session run sessions/monday --page
armtrials session status sessions/monday
armtrials session close sessions/monday --who kim --reason "the gripper broke"
armtrials session report sessions/monday --results results
"""

Step = (
    Annotated[Plan, subcommand("plan", prefix_name=False)]
    | Annotated[Lock, subcommand("lock", prefix_name=False)]
    | Annotated[Run, subcommand("run", prefix_name=False)]
    | Annotated[Status, subcommand("status", prefix_name=False)]
    | Annotated[Close, subcommand("close", prefix_name=False)]
    | Annotated[Report, subcommand("report", prefix_name=False)]
)


@dataclass(frozen=True)
class Session:
    """Evaluate policies on an arm so that a sceptic accepts the result.

    Whoever locks a session knows the policies; whoever runs it sees blind codes only, until it is
    closed. A session that was interrupted, however, goes on with the same command.
    """

    step: OmitArgPrefixes[Step]
    """What to do; `armtrials session <step> --help` shows its options."""

    def run(self) -> int:
        """Do the step; return its exit code."""
        return self.step.run()

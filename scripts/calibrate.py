"""Calibrate an arm and its cameras: joints, gripper, lens and place; check camera and scene."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import OmitArgPrefixes, subcommand

from scripts.calibrate_camera import Check, Lens, Reference, Show
from scripts.calibrate_joints import Joints
from scripts.calibrate_prints import Board, Tags
from scripts.calibrate_reset import Reset

EXAMPLES = """
armtrials calibrate board --out board.pdf
armtrials calibrate tags --out tags.pdf --ids 0 1 2 3 4 --size 0.03
armtrials calibrate lens --camera overhead --live realsense --pictures poses
armtrials calibrate lens --camera overhead --pictures poses --robot viperx
armtrials calibrate reference --camera overhead --live realsense --at 0.25 -0.1 0
armtrials calibrate check --camera overhead --pictures today
armtrials calibrate joints --robot koch --port /dev/ttyUSB0
armtrials calibrate reset --live realsense --tags objects.json --start 3
armtrials calibrate reset --twin --out reset.png
armtrials calibrate show
"""

Step = (
    Annotated[Board, subcommand("board", prefix_name=False)]
    | Annotated[Tags, subcommand("tags", prefix_name=False)]
    | Annotated[Lens, subcommand("lens", prefix_name=False)]
    | Annotated[Reference, subcommand("reference", prefix_name=False)]
    | Annotated[Check, subcommand("check", prefix_name=False)]
    | Annotated[Joints, subcommand("joints", prefix_name=False)]
    | Annotated[Reset, subcommand("reset", prefix_name=False)]
    | Annotated[Show, subcommand("show", prefix_name=False)]
)


@dataclass(frozen=True)
class Calibrate:
    """Fill an arm's calibration file, step by step; each step is a version of the file."""

    step: OmitArgPrefixes[Step]
    """What to do; `armtrials calibrate <step> --help` shows its options."""

    def run(self) -> int:
        """Do the step; return its exit code."""
        return self.step.run()

"""Demonstrate a task yourself, in a web browser."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = """
armtrials teleop --task pick_place --out data/by_hand
armtrials teleop --robot koch --pixels --operator anna --out data/anna
armtrials teleop --task transfer --out data/two_arms
armtrials teleop --randomise object_pose/L2 --port 9000 --out data/varied
"""


@dataclass(frozen=True)
class Teleop:
    """Serve a page on this machine from which a person drives the arm and records demonstrations.

    Open the page that is named, on this machine or through a forwarded port. Ctrl-C ends it; the
    same command continues.
    """

    out: Path = Path("data/teleop")
    """Folder of the demonstrations; made if missing."""
    task: str = "pick_place"
    """Task to demonstrate."""
    robot: str = ""
    """Robot to demonstrate with: viperx, koch, openarm, viperx_pair; the task's own if none."""
    operator: str = "person"
    """Alias of the person, stored with every episode."""
    pixels: bool = False
    """Record what the cameras see, too."""
    image_size: int = 84
    """Width and height of the recorded pictures [px]."""
    randomise: tuple[str, ...] = ("none",)
    """What varies from episode to episode, as for collect."""
    seed: int = 0
    """Another seed gives other scenes."""
    limit: float = 60.0
    """Longest episode [s]."""
    port: int = 8765
    """Port of the page on this machine; 0 takes a free one."""

    def run(self) -> int:
        """Serve until Ctrl-C; return 0."""
        from rich.console import Console

        from envs.errors import UsageError
        from real.teleop.album import Album
        from real.teleop.loop import Loop
        from real.teleop.rig import SimRig
        from real.teleop.server import TeleopServer
        from real.teleop.session import Session
        from scripts.collect import Collect

        if not 0 <= self.port <= 65535:
            raise UsageError(f"--port must be 0..65535, got {self.port}")
        console = Console(highlight=False, soft_wrap=True)
        collection = Collect(
            out=self.out,
            task=self.task,
            robot=self.robot,
            pixels=self.pixels,
            image_size=self.image_size,
            randomise=self.randomise,
            seed=self.seed,
        ).collection()
        rig = SimRig(collection, self.limit)
        try:
            with Album(self.out, collection) as album:
                server = TeleopServer(Loop(Session(rig, album, self.operator)))

                def ready() -> None:
                    console.print(f"Open {server.address} (Ctrl-C ends it).", markup=False)

                with contextlib.suppress(KeyboardInterrupt):
                    asyncio.run(server.run(self.port, ready))
                counts = f"{len(album.successes)} demonstrations, {len(album.failed)} failures"
        finally:
            rig.close()
        console.print(
            f"{self.out}: {counts}.\nLook at them: armtrials inspect {self.out}", markup=False
        )
        return 0

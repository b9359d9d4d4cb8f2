"""Demonstrate a task yourself, in a web browser."""

import asyncio
import contextlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from envs.collection import Collection
    from real.teleop.rig import ArmRig

EXAMPLES = """
armtrials teleop --task pick_place --out data/by_hand
armtrials teleop --robot koch --pixels --operator anna --out data/anna
armtrials teleop --task transfer --out data/two_arms
armtrials teleop --twin --out data/twin_by_hand
armtrials teleop --robot koch --arm /dev/ttyUSB0 --cameras overhead=realsense wrist=/dev/video0
armtrials teleop --robot koch --arm /dev/ttyUSB0 --cameras overhead=realsense \\
    --tags objects.json --calibration calibration.json
armtrials teleop --randomise object_pose/L2 --port 9000 --out data/varied
"""


@dataclass(frozen=True)
class Teleop:
    """Serve a page on this machine from which a person drives the arm and records demonstrations.

    The arm is simulated, or with --arm a real one, or with --twin its twin. Open the page that is
    named, on this machine or through a forwarded port. Ctrl-C ends it; the same command continues.
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
    image_size: int | None = None
    """Width and height of the pictures that --pixels records [px] (default: 84)."""
    randomise: tuple[str, ...] = ("none",)
    """What varies from episode to episode, as for collect."""
    seed: int = 0
    """Another seed gives other scenes."""
    limit: float = 60.0
    """Longest episode [s]."""
    port: int = 8765
    """Port of the page on this machine; 0 takes a free one."""
    arm: str = ""
    """Serial port or CAN channel of a real arm; keep a hand on its switch."""
    twin: bool = False
    """Drive the hardware twin, through the driver and the safety chain of a real arm."""
    interface: str = "socketcan"
    """Of python-can, for an openarm."""
    calibration: Path | None = None
    """Calibration of this very arm; its hash goes into every episode."""
    cameras: tuple[str, ...] = ()
    """Where a real arm's cameras are: overhead=realsense:SERIAL wrist=/dev/video0."""
    objects: Literal["truth", "tags"] = "truth"
    """With --twin: object poses by what is true, or by tags that the overhead camera sees."""
    tags: Path | None = None
    """Of an arm: file of tagged objects, for their poses by the overhead camera."""
    patient: bool = False
    """Wait longer for emulated motors than for real ones, on a busy computer."""

    def run(self) -> int:
        """Serve until Ctrl-C; return 0."""
        from rich.console import Console

        from envs.errors import UsageError
        from real.teleop.album import Album
        from real.teleop.later import LaterAlbum
        from real.teleop.loop import Loop
        from real.teleop.server import TeleopServer
        from real.teleop.session import Session

        if not 0 <= self.port <= 65535:
            raise UsageError(f"--port must be 0..65535, got {self.port}")
        console = Console(highlight=False, soft_wrap=True)

        def tell(text: str) -> None:
            console.print(text, markup=False)

        collection = self._collection()
        with ExitStack() as stack:
            rig = self._rig(stack, collection, tell)
            kind = LaterAlbum if rig.timed else Album  # time goes on while a file is made
            album = stack.enter_context(kind(self.out, collection))
            server = TeleopServer(Loop(Session(rig, album, self.operator)))

            def ready() -> None:
                tell(f"Open {server.address} (Ctrl-C ends it).")

            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(server.run(self.port, ready))
        counts = f"{len(album.successes)} demonstrations, {len(album.failed)} failures"
        tell(f"{self.out}: {counts}.\nLook at them: armtrials inspect {self.out}")
        return 0

    def _collection(self) -> "Collection":
        from scripts.collect import Collect

        return Collect(
            out=self.out,
            task=self.task,
            robot=self.robot,
            pixels=self.pixels,
            image_size=self.image_size,
            randomise=self.randomise,
            seed=self.seed,
        ).collection()

    def _rig(
        self, stack: ExitStack, collection: "Collection", tell: "Callable[[str], None]"
    ) -> "ArmRig":
        """Return what the person drives; ``stack`` releases it."""
        from real.teleop.rig import SimRig

        if not (self.arm or self.twin):
            simulated = SimRig(collection, self.limit)
            stack.callback(simulated.close)
            return simulated
        from real.follow import preflight
        from real.keys import on_keys
        from real.teleop.arm_rig import RealRig, TwinRig
        from scripts.arms import Place, open_arm

        place = Place(
            port=self.arm,
            interface=self.interface,
            twin=self.twin,
            patient=self.patient,
            objects=self.objects,
            cameras=self.cameras,
            tags=self.tags,
            calibration=self.calibration,
        )
        arm, twin = open_arm(stack, place, collection, tell, views=True)
        preflight(self.out, arm, 1, self.limit)
        board = arm.joints.stop  # type: ignore[attr-defined]
        stack.enter_context(on_keys(board))
        rig: RealRig
        if twin is None:
            rig = RealRig(arm, collection, self.limit, board, place.emulated)
        else:
            rig = TwinRig(arm, collection, self.limit, board)
        stack.callback(rig.close)
        return rig

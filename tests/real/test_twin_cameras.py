"""The twin's cameras: through librealsense and the rig into observations; objects by tags."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from envs.arm import CameraSpec, InitialCondition
from envs.errors import UsageError
from envs.gl import let_go
from envs.tasks import TASKS
from envs.world import world
from real.address import PATIENT
from real.board_pictures import open_camera
from real.calibration import Calibration, CameraCalibration
from real.cameras import Mode
from real.emulators.camera_faults import CameraFaults
from real.emulators.twin import ClockTwin, Twin, TwinSetup
from real.emulators.twin_cameras import tag_sight
from real.emulators.twin_place import offer
from real.emulators.twin_plant import Scenery
from real.emulators.twin_table import TAGS, Sight, TwinTable, twin_arm
from real.emulators.twin_tags import tagged_objects
from real.pinhole import Intrinsics
from real.real_arm import RealArm, Senses
from real.real_senses import Eyes, open_senses
from real.real_senses import tag_sight as calibrated_sight
from real.safe_arm import StoppedError
from tests.real.camera_bench import needs_gl, needs_opencv, needs_realsense
from tests.real.test_real_arm import start_for

TASK = TASKS["pick_place"]
CAMERAS = (CameraSpec("overhead", 32, 32), CameraSpec("wrist", 32, 32))
SECONDS = 60.0


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline, "waited in vain"


def held(arm: RealArm, start: InitialCondition) -> None:
    """Stay at the start pose for a control period."""
    arm.command(np.array(start.qpos))


@needs_realsense
@needs_gl
def test_pictures_come_through_the_camera_library_and_a_camera_that_goes_ends_the_trial() -> None:
    faults = CameraFaults([camera.name for camera in CAMERAS])
    with (
        Twin(TwinSetup(robot="koch")) as twin,
        twin_arm(twin, CAMERAS, PATIENT, sight=Sight(faults=faults)) as arm,
    ):
        start = start_for(arm)
        seen = arm.home(start)
        assert {"images/overhead", "images/wrist"} <= set(seen)
        assert seen["images/overhead"].shape == (32, 32, 3)
        drawn = arm.table.picture(CAMERAS[0])
        assert drawn is not None
        off = np.abs(seen["images/overhead"].astype(int) - drawn.astype(int))
        assert off.mean() < 12  # the same scene, through lens, noise and scaling
        numbers = {arm.numbers["overhead"]}

        def several() -> bool:
            held(arm, start)
            numbers.add(arm.numbers["overhead"])
            return len(numbers) > 4

        until(several)
        assert all(0 <= age < SECONDS for age in arm.ages.values())
        faults.inject("unplug@wrist")
        with pytest.raises(StoppedError, match=r"invalid_hardware: wrist .*unplugged"):
            until(lambda: bool(held(arm, start)))
        assert arm.senses.fault()


@needs_realsense
@needs_opencv
@needs_gl
def test_objects_are_seen_by_their_tags_where_they_are() -> None:
    with Twin(TwinSetup()) as twin, twin_arm(twin, (), PATIENT, sight=Sight(TAGS)) as arm:
        for seed in (1,):
            start = start_for(arm, seed)
            seen = arm.home(start)
            truth = twin.truth.poses()["cube"]
            np.testing.assert_allclose(seen["objects/cube"][:3], truth[:3], atol=2e-3)
            assert abs(float(np.dot(seen["objects/cube"][3:], truth[3:]))) > 0.999
            np.testing.assert_allclose(seen["objects/target"], start.objects["target"], rtol=1e-6)


@needs_realsense
@needs_gl
def test_the_cameras_of_a_twin_are_sources_for_other_programs(tmp_path: Path) -> None:
    pytest.importorskip("dynamixel_easy_sdk")
    mode = Mode(424, 240, 30)
    let_go()  # a test before may have drawn in this thread; here another one draws
    with ClockTwin() as twin:
        options = offer(Scenery("pick_place", "viperx", twin.truth.path))
        folder = twin.truth.path.parent
        assert options["cameras"].split()[1:] == [f"overhead=twin:{folder}", f"wrist=twin:{folder}"]
        seen = {}
        for kind in ("twin", "twin-tags"):
            with closing(open_camera(f"{kind}:{folder}", "overhead", mode)) as camera:
                camera.start()
                seen[kind] = camera.wait(SECONDS).image.astype(int)
        with pytest.raises(UsageError, match="no camera 'side'; known: overhead, wrist"):
            open_camera(f"twin:{folder}", "side", mode)
        drawn = TwinTable(twin).picture(CameraSpec("overhead", 424, 240)).astype(int)
        let_go()
    assert seen["twin"].shape == (240, 424, 3)
    assert np.abs(seen["twin"] - drawn).mean() < 6
    assert np.abs(seen["twin-tags"] - seen["twin"]).max() > 100  # white and black on the cube
    with pytest.raises(UsageError, match="there is no twin"):
        open_camera(f"twin:{tmp_path}", "overhead", mode)


@needs_opencv
def test_only_boxes_that_tags_fit_on_have_tags() -> None:
    (cube,) = tagged_objects(world(TASK))
    assert (cube.name, len(cube.tags), cube.stands) == ("cube", 5, 0.02)
    assert cube.tags[0].size == pytest.approx(0.03)
    with pytest.raises(UsageError, match="no thing of two_ways is a box"):
        tag_sight(world(TASKS["two_ways"]))


def test_what_does_not_go_together_is_told() -> None:
    with pytest.raises(UsageError, match="objects must be truth or tags, got 'radar'"):
        Sight("radar")
    pytest.importorskip("dynamixel_easy_sdk")
    with (
        ClockTwin() as twin,
        pytest.raises(UsageError, match="leave out the own clock"),
        twin_arm(twin, sight=Sight(TAGS)),
    ):
        pass


def test_cameras_of_an_arm_are_named_with_where_they_are(tmp_path) -> None:
    class Nobody:
        spec = world(TASK).arm

    assert open_senses(Eyes(), (), Nobody()).frames() == {}
    assert isinstance(open_senses(Eyes(), (), Nobody()), Senses)
    with pytest.raises(UsageError, match="where is the camera 'overhead'"):
        open_senses(Eyes(), CAMERAS, Nobody())
    for text in ("overhead", "=x", "overhead="):
        with pytest.raises(UsageError, match="NAME=SOURCE"):
            Eyes.parse([text], None, None)
    with pytest.raises(UsageError, match="each once"):
        Eyes.parse(["a=1", "a=2"], None, None)
    file = tmp_path / "objects.json"
    file.write_text("[]")
    lens = CameraCalibration(Intrinsics.simulated(640, 480, 42.0))
    known = Calibration("viperx").with_camera("overhead", lens)
    with pytest.raises(UsageError, match="tags need --tags FILE and --calibration FILE"):
        calibrated_sight(Eyes.parse(["overhead=realsense"], file, None))
    with pytest.raises(UsageError, match="the place of camera 'overhead' is not calibrated"):
        calibrated_sight(Eyes.parse(["overhead=realsense"], file, known))

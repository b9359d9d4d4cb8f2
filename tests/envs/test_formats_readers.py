"""The real LeRobot and robomimic read what we write; each in an environment of its own.

Skipped unless the variables name a Python that has them (docs/formats.md says how to make one)::

    ARMTRIALS_LEROBOT_PYTHON=.venv-lerobot/bin/python
    ARMTRIALS_ROBOMIMIC_PYTHON=.venv-robomimic/bin/python
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import demonstration, folder_of

from envs.formats.base import Options
from envs.formats.convert import Conversion, convert

pytest.importorskip("pyarrow")


def read_by(library: str, source: Path, out: Path) -> dict[str, Any]:
    """Return what the library reads of ``source``."""
    python = os.environ.get(f"ARMTRIALS_{library.upper()}_PYTHON")
    if python is None:
        pytest.skip(f"ARMTRIALS_{library.upper()}_PYTHON names no Python that has {library}")
    script = Path(__file__).with_name("real_readers.py")
    command = [python, str(script), library, str(source), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(out) as found:
        return dict(found)


@pytest.mark.parametrize("images", ["h264", "lossless", "png"])
def test_lerobot_reads_every_frame(images: str, tmp_path: Path) -> None:
    convert(Conversion(folder_of(tmp_path / "a"), tmp_path / "l", "lerobot", Options(images)))
    found = read_by("lerobot", tmp_path / "l", tmp_path / "out.npz")
    made = [demonstration(i) for i in range(3)]
    assert (int(found["episodes"]), int(found["fps"])) == (3, 50)
    assert set(found["task"]) == {"put it there"}
    for key, name in (("qpos", "state"), ("objects/cube", "objects.cube")):
        wanted = np.concatenate([e.observations[key] for e in made])
        assert (found[f"observation.{name}"] == wanted).all()
    assert (found["action"] == np.concatenate([e.actions for e in made])).all()
    times = np.concatenate([e.timestamps for e in made])
    np.testing.assert_allclose(found["time"], times, atol=1e-6)  # LeRobot hands out float32
    pictures = np.concatenate([e.observations["images/wrist"] for e in made]) / 255
    error = np.abs(found["observation.images.wrist"].transpose(0, 2, 3, 1) - pictures)
    assert error.mean() < (0.02 if images == "h264" else 1e-6)


def test_robomimic_reads_every_sample(tmp_path: Path) -> None:
    convert(Conversion(folder_of(tmp_path / "a"), tmp_path / "r.hdf5", "robomimic"))
    found = read_by("robomimic", tmp_path / "r.hdf5", tmp_path / "out.npz")
    made = [demonstration(i) for i in range(2)]  # the third one is for validation
    for key, name in (("qpos", "qpos"), ("objects/cube", "objects_cube")):
        assert (found[f"obs/{name}"] == np.concatenate([e.observations[key] for e in made])).all()
    pictures = np.concatenate([e.observations["images/wrist"] for e in made])
    assert (found["obs/wrist_image"].reshape(pictures.shape) == pictures).all()
    assert np.abs(found["actions"]).max() <= 1
    assert str(found["env"]) == "ArmTrials/pick_place"

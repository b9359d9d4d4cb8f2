"""LeRobot's policies behind ``examples/serve_lerobot.py`` do what they do in LeRobot's own rollout.

Skipped unless a variable names a Python that has lerobot (docs/serving.md says how to make one)::

    ARMTRIALS_LEROBOT_PYTHON=.venv-lerobot/bin/python
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from benchmarks.records import VOLATILE, read_run
from benchmarks.run import EvaluateConfig, evaluate
from envs.arm import Array
from policies.chunking import Controller
from policies.remote import RemotePolicy

PYTHON = os.environ.get("ARMTRIALS_LEROBOT_PYTHON")
SERVER = Path(__file__).resolve().parents[2] / "examples" / "serve_lerobot.py"
REAL = Path(__file__).with_name("real_lerobot.py")
KINDS = ("act", "act_state", "ddim", "ddpm", "smolvla")
STEPS, TRIALS, SIDE = 10, 2, 32
JOINTS = ["waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper"]
TOLD = ("put the red cube on the green zone", "lift it")
COMMAND = (
    *(str(PYTHON), str(SERVER), "--port", "0", "--device", "cpu"),
    *("--arm", "viperx", "--task", "pick_place", "--joints", *JOINTS),
)
ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}

pytestmark = [
    pytest.mark.skipif(PYTHON is None, reason="ARMTRIALS_LEROBOT_PYTHON names no Python"),
    pytest.mark.timeout(1200),
]


def run_real(what: str, folder: Path) -> None:
    command = [str(PYTHON), str(REAL), what, str(folder)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def stream(state_track: bool) -> dict[str, Array]:
    """Return observations (T, trials, ...) by our key."""
    rng = np.random.default_rng(5)
    seen: dict[str, Array] = {"qpos": rng.uniform(-1, 1, (STEPS, TRIALS, 7)).astype(np.float32)}
    if state_track:
        poses = rng.uniform(-1, 1, (2, STEPS, TRIALS, 7)).astype(np.float32)
        return seen | {"objects/cube": poses[0], "objects/target": poses[1]}
    pictures = rng.integers(0, 256, (2, STEPS, TRIALS, SIDE, SIDE, 3), np.uint8)
    return seen | {"images/overhead": pictures[0], "images/wrist": pictures[1]}


def as_lerobot(seen: dict[str, Array]) -> dict[str, Array]:
    """Return the same as LeRobot has it."""
    theirs = {"observation.state": seen["qpos"]}
    if "objects/cube" in seen:
        poses = [seen["objects/cube"], seen["objects/target"]]
        return theirs | {"observation.environment_state": np.concatenate(poses, -1)}
    for ours, name in (("overhead", "overhead"), ("wrist", "side")):
        picture = seen[f"images/{ours}"].transpose(0, 1, 4, 2, 3).astype(np.float32) / 255
        theirs[f"observation.images.{name}"] = picture
    return theirs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of checkpoints, each with what LeRobot does of the stream."""
    folder = tmp_path_factory.mktemp("lerobot")
    run_real("make", folder)
    for kind in KINDS:
        trials = {"task": np.array(TOLD), "seeds": np.array([7, 8])}
        theirs = as_lerobot(stream(kind == "act_state"))
        np.savez(folder / kind / "stream.npz", **theirs, **trials)  # type: ignore[arg-type]
    run_real("act", folder)
    change(folder / "act", pretrained_backbone_weights="ResNet18_Weights.IMAGENET1K_V1")
    return folder


def change(folder: Path, **entries: object) -> None:
    """Change entries of a checkpoint's config."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a checkpoint; yields the address."""
    seen = ["--camera", "wrist=observation.images.side"]
    if folder.name == "act_state":
        seen = ["--objects", "cube", "target"]
    command = [*COMMAND, "--policy", str(folder), *seen]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield next(line for line in server.stdout if "serving at" in line).split()[-1]
        finally:
            server.terminate()


def rollout(policy: RemotePolicy, seen: dict[str, Array]) -> Array:
    """Return the actions (T, trials, joints) that our controller takes of a stream."""
    controller = Controller(policy)
    controller.reset(TOLD, [7, 8])
    steps = [{key: value[t] for key, value in seen.items()} for t in range(STEPS)]
    return np.stack([controller.action(step) for step in steps])


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_acts_here_as_in_lerobots_own_rollout(kind: str, made: Path) -> None:
    with np.load(made / kind / "actions.npz") as found:
        wanted = found["actions"]
    assert np.ptp(wanted, axis=0).min() > 1e-4  # it depends on what is seen
    with served(made / kind) as address:
        policy = RemotePolicy(address)
        assert (policy.spec.joints, policy.spec.execute) == (tuple(JOINTS), 4)
        assert policy.spec.language == (kind == "smolvla")
        seen = stream(kind == "act_state")
        first, second = rollout(policy, seen), rollout(policy, seen)
        policy.close()
        np.testing.assert_allclose(first, wanted, rtol=0, atol=2e-6)
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", ["act_state", "smolvla"])
def test_two_evaluations_of_a_policy_give_the_same_trials(
    kind: str, made: Path, tmp_path: Path
) -> None:
    with served(made / kind) as address:
        runs = [evaluated(address, tmp_path / name) for name in "ab"]
    assert runs[0] == runs[1]


def evaluated(address: str, folder: Path) -> list[dict[str, object]]:
    """Evaluate a served policy; return its records but for times."""
    asked = EvaluateConfig(
        f"remote:{address}", results=folder, trials=2, conditions=("nominal",), videos="none",
        split="dev", workers=1,
    )  # fmt: skip
    run = read_run(evaluate(asked).folder)
    assert {trial["status"] for trial in run.trials} == {"valid"}
    assert not [trial for trial in run.trials if trial["failure"] == "policy_error"]
    assert len(run.manifest["policy"]["hashes"]["weights"]) == 64
    return [{k: v for k, v in trial.items() if k not in VOLATILE} for trial in run.trials]


def refused(folder: Path) -> str:
    """Return what the server says of a checkpoint that it does not serve."""
    command = [*COMMAND, "--camera", "wrist=observation.images.side", "--policy", str(folder)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr[-2000:]
    return done.stderr.splitlines()[-1]


def test_what_lerobot_cannot_load_is_told(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "act", tmp_path / "x")
    weights = load_file(tmp_path / "x" / "model.safetensors")
    del weights["model.action_head.bias"]
    save_file(weights, tmp_path / "x" / "model.safetensors")
    assert 'Missing key(s) in state_dict: "model.action_head.bias"' in refused(tmp_path / "x")
    change(tmp_path / "x", type="act_9")
    assert "has no policy of type 'act_9'; known: act, diffusion," in refused(tmp_path / "x")

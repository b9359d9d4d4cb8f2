import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import serve_lerobot
from lerobot_fake import CHUNK, EXECUTE, JOINTS, STATE, TOP, FakePolicy, config, loaded
from lerobot_inputs import Asked, MistakeError, choose_inputs
from lerobot_policy import FILES, Checkpoint, Predictor, find_folder, hashes, load_config
from policy_server import address_of, listening
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from benchmarks.records import read_run
from benchmarks.run import EvaluateConfig, evaluate
from envs.arm import Array
from policies.remote import RemotePolicy, ServedPolicyError
from policies.wire import decode, encode

ASKED = Asked(JOINTS)
OBJECTS = {"observation.environment_state": SimpleNamespace(shape=(14,))}
HELLO = {"type": "hello", "protocol": "armtrials-policy", "version": 1, "id": 1}


def predictor(checkpoint: Checkpoint, asked: Asked = ASKED) -> Predictor:
    return Predictor(checkpoint, choose_inputs(checkpoint.config, asked))


def state(*rows: float) -> dict[str, Array]:
    return {"qpos": np.array([[[row] * 3] for row in rows], np.float32)}


def test_pictures_come_as_lerobot_has_them_and_the_instruction_is_the_task() -> None:
    policy, told = FakePolicy(), config(top=(3, 4, 5))
    model = predictor(loaded(policy, config=told), Asked(JOINTS, [f"overhead={TOP}"]))
    assert model.shapes == {"qpos": (3,), "images/overhead": (4, 5, 3)}
    picture = np.random.default_rng(0).integers(0, 256, (2, 1, 4, 5, 3), np.uint8)
    model.act({**state(1, 2), "images/overhead": picture}, model.begin(["lift", "put"], [0, 1]))
    wanted = picture[:, 0].transpose(0, 3, 1, 2) / np.float32(255)
    np.testing.assert_array_equal(policy.seen[TOP].numpy(), wanted)
    assert policy.seen["task"] == ["lift", "put"]


def test_joints_are_told_in_degrees_and_grippers_in_percent_and_come_back() -> None:
    policy = FakePolicy()
    model = predictor(loaded(policy), Asked(JOINTS, degrees=True))
    chunk = model.act(state(0.5), model.begin([""], [0]))
    found = policy.seen[STATE].numpy()[0]
    np.testing.assert_allclose(found, np.array([np.rad2deg(0.5), np.rad2deg(0.5), 50]) / 2, 1e-6)
    assert (chunk.dtype, chunk.shape) == (np.float32, (1, CHUNK, 3))
    np.testing.assert_allclose(chunk, 0.5, rtol=1e-6)


def test_poses_of_objects_are_put_together_in_the_order_told() -> None:
    told = config()
    told.input_features |= OBJECTS | {"observation.objects.cup": SimpleNamespace(shape=(7,))}
    inputs = choose_inputs(told, Asked(JOINTS, objects=["target", "cube"]))
    obs = {f"objects/{name}": np.full((1, 1, 7), i) for i, name in enumerate(["cube", "target"])}
    step = inputs.step({**state(1), **obs, "objects/cup": np.full((1, 1, 7), 9)}, 0)
    assert step["observation.environment_state"].tolist() == [[1] * 7 + [0] * 7]
    assert step["observation.objects.cup"].tolist() == [[9] * 7]


def test_a_policy_that_remembers_is_shown_the_steps_in_order() -> None:
    told, policy = config("vqbet"), FakePolicy(queued=2)
    told.n_obs_steps = 2
    model = predictor(loaded(policy, config=told))
    obs = {"qpos": np.array([[[1, 2, 3], [10, 20, 30]]], np.float32)}
    for _ in range(2):  # nothing stays from one prediction to the next
        assert model.act(obs, model.begin([""], [0]))[0, 0].tolist() == [11, 22, 33]


@pytest.mark.parametrize(("kind", "together"), [("smolvla", True), ("tdmpc", False)])
def test_the_noise_of_a_trial_follows_from_its_seed_alone(kind: str, together: bool) -> None:
    model = predictor(loaded(FakePolicy(noisy=True), config=config(kind)))
    assert model.together == together

    def chunks(*seeds: int) -> list[Array]:
        trials = model.begin([""] * len(seeds), seeds)
        return [model.act(state(*[1] * len(seeds)), trials) for _ in range(2)]

    one, two = chunks(7, 8, 9), chunks(9, 7)
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first[[2, 0]], second)
    assert not (one[0] == one[1]).any()
    assert not (one[0][0] == one[0][1]).any()


def test_diffusion_is_given_its_noise_only_where_it_draws_no_more() -> None:
    told = config("diffusion")
    told.horizon, told.noise_scheduler_type = CHUNK, "DDIM"
    assert predictor(loaded(FakePolicy(noisy=True), config=told)).together
    told.noise_scheduler_type = "DDPM"
    assert not predictor(loaded(FakePolicy(noisy=True), config=told)).together


@pytest.mark.parametrize(
    ("told", "asked", "match"),
    [
        (config(state=6), ASKED, r"observation.state of the policy has the shape \(6,\), qpos of"),
        (config(), Asked(("a", "b")), r"has the shape \(3,\), qpos of --joints a b has \(2,\)"),
        (config(top=(3, 4, 5)), ASKED, "no camera is mapped to observation.images.top: say"),
        (config(top=(3, 4, 5)), Asked(JOINTS, ["overhead"]), "must be OURS=THEIRS, got 'overhead'"),
        (config(top=(3, 4, 5)), Asked(JOINTS, ["wrist=x"]), f"reads no 'x'; it reads {TOP}"),
        (
            config(top=(3, 4, 5)),
            Asked(JOINTS, [f"wrist={TOP}", f"overhead={TOP}"]),
            "must name each camera once, got",
        ),
        (config(), Asked(JOINTS, without=["x"]), f"--without: the policy reads no 'x'.*{STATE}"),
    ],
)
def test_what_does_not_fit_is_told(told: Any, asked: Asked, match: str) -> None:
    with pytest.raises(MistakeError, match=match):
        choose_inputs(told, asked)


def test_inputs_that_nothing_of_ours_is_are_told() -> None:
    told = config()
    told.input_features |= {"observation.force": SimpleNamespace(shape=(2,))}
    with pytest.raises(MistakeError, match=r"nothing of ours is observation.force; known: obs"):
        choose_inputs(told, ASKED)
    assert set(choose_inputs(told, Asked(JOINTS, without=["observation.force"])).vectors) == {STATE}
    told.input_features = OBJECTS
    with pytest.raises(MistakeError, match="say by --objects"):
        choose_inputs(told, ASKED)
    told = config()
    told.action_feature = SimpleNamespace(shape=(14,))
    with pytest.raises(MistakeError, match=r"an action of the policy has the shape \(14,\)"):
        choose_inputs(told, ASKED)


def test_cameras_of_our_names_need_not_be_told_and_empty_ones_are_lerobots() -> None:
    told = config(wrist=(3, 4, 5), empty_camera_0=(3, 480, 640))
    assert choose_inputs(told, ASKED).cameras == {"observation.images.wrist": "images/wrist"}


def test_a_policy_that_gives_no_chunk_a_trial_is_refused_before_a_trial() -> None:
    policy = FakePolicy()
    policy.predict_action_chunk = lambda batch: batch[STATE][:1, None]  # type: ignore[method-assign,assignment,misc]
    with pytest.raises(MistakeError, match=r"must be \(2, chunk, 3\), got \(1, 1, 3\)"):
        predictor(loaded(policy))
    policy.predict_action_chunk = lambda batch: batch["state"]  # type: ignore[method-assign,assignment,misc]
    with pytest.raises(MistakeError, match="cannot predict a chunk: KeyError: 'state'"):
        predictor(loaded(policy))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files of a checkpoint."""
    for name in FILES:
        (tmp_path / name).write_text(json.dumps({"type": "act"}))
    return tmp_path


def options(folder: Path, *more: str) -> Namespace:
    needed = ["--arm", "toy", "--task", "toy", "--device", "cpu", "--joints", *JOINTS]
    return serve_lerobot.read_options(["--policy", str(folder), *needed, *more])


@pytest.fixture
def fake_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_lerobot, "load_config", lambda folder, device: config())
    monkeypatch.setattr(serve_lerobot, "load", lambda folder, config: loaded(config=config))


@pytest.mark.usefixtures("fake_load")
def test_the_checkpoint_says_what_is_not_told(folder: Path) -> None:
    model, hello = serve_lerobot.prepare(options(folder))
    policy = hello["policy"]
    spec = policy["spec"]
    assert (spec["chunk"], spec["execute"], spec["track"]) == (CHUNK, EXECUTE, "state")
    assert (policy["name"], spec["language"], model.n_obs) == ("act", False, 1)
    told = serve_lerobot.prepare(options(folder, "--execute", "1", "--name", "mine"))[1]["policy"]
    assert (told["name"], told["spec"]["execute"]) == ("mine", 1)


def test_hashes_tell_the_weights_and_what_else_decides_an_action(folder: Path) -> None:
    before = hashes(folder, ASKED)
    assert hashes(folder, ASKED) == before
    degrees = hashes(folder, Asked(JOINTS, degrees=True))
    assert (degrees["weights"], degrees["settings"]) != tuple(before.values())
    assert degrees["weights"] == before["weights"]
    (folder / "model.safetensors").write_bytes(b"others")
    after = hashes(folder, ASKED)
    assert after["weights"] != before["weights"]
    assert after["settings"] == before["settings"]


def exit_of(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> tuple[int, str]:
    needed = ["--arm", "toy", "--task", "toy", "--device", "cpu", "--joints", *JOINTS]
    code = serve_lerobot.main(["--policy", str(folder), *needed, *more])
    return code, capsys.readouterr().err


@pytest.mark.usefixtures("fake_load")
@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--execute", "5"], "--execute must be in 1..4, the chunk, got 5"),
        (["--control-hz", "0"], "--control-hz must be positive, got 0.0"),
        (["--camera", "wrist=x"], "--camera: the policy reads no 'x'"),
        (["--host", "192.0.2.1"], "cannot serve on 192.0.2.1:8765"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    more: list[str], text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = exit_of(capsys, folder, *more)
    assert code == 2
    assert told.startswith(f"serve_lerobot: {text}")
    assert told.count("\n") == 1


def test_what_is_missing_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str, **options: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", absent)
    code, told = exit_of(capsys, folder / "none")
    assert code == 2
    assert "is no folder, and the hub does not give it (OSError: no network)" in told
    (folder / "policy_preprocessor.json").unlink()
    with pytest.raises(MistakeError, match=r"lacks policy_preprocessor.json; .* before LeRobot 0"):
        find_folder(str(folder))
    (folder / "pretrained_model").mkdir()
    with pytest.raises(MistakeError, match=r"it has a folder .*pretrained_model: name that"):
        find_folder(str(folder))
    monkeypatch.setitem(sys.modules, "lerobot", None)
    with pytest.raises(MistakeError, match="LeRobot is not here: pip install lerobot"):
        load_config(folder, "cpu")


@contextmanager
def served(model: Predictor, spec: Mapping[str, Any]) -> Iterator[str]:
    policy = {"name": "fake", "spec": spec, "hashes": {"weights": "v1"}}
    with listening(model, {"policy": policy, "server": {}}, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield address_of(server)
        finally:
            server.shutdown()
            thread.join()


def spec_of(model: Predictor, **told: Any) -> dict[str, Any]:
    asked = Namespace(
        arm="toy", joints=list(JOINTS), control_hz=50.0, task="toy", execute=None, name=None
    )
    found = serve_lerobot.describe(model, config(), asked)["spec"]
    return {**found, **told}


def test_our_client_acts_with_it_and_its_mistakes_are_answered() -> None:
    policy = FakePolicy()
    model = predictor(loaded(policy))
    with served(model, spec_of(model)) as address:
        client, other = RemotePolicy(address), RemotePolicy(address)
        client.reset(["a", "b"], [1, 2])
        other.reset(["c"], [1])
        np.testing.assert_array_equal(
            client.act(state(1, 2)), np.repeat(state(1, 2)["qpos"], CHUNK, axis=1)
        )
        other.act(state(3))
        assert policy.seen["task"] == ["c"]
        with pytest.raises(ServedPolicyError, match=r"qpos must be <f4 \(2, 1, 3\), got <f4"):
            client.act(state(1))
        policy.predict_action_chunk = lambda batch: 1 / 0  # type: ignore[method-assign,assignment,misc,return-value]
        with pytest.raises(ServedPolicyError, match="ZeroDivisionError"):
            client.act(state(1, 2))
        client.close()
        other.close()


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{**HELLO, "version": 2}], "version"),
        ([{"type": "reset", "id": 2}], "message"),
        ([HELLO, {"type": "act", "id": 2, "obs": {}}], "message"),
        ([HELLO, {"type": "fly", "id": 2}], "message"),
        ([HELLO, {"type": "reset", "id": 2, "instructions": ["a"], "seeds": []}], "message"),
        ([HELLO, {"type": "reset", "id": 2, "instructions": ["a"], "seeds": [True]}], "message"),
    ],
)
def test_who_breaks_the_rules_is_told_and_hung_up_on(
    messages: list[dict[str, Any]], code: str
) -> None:
    model = predictor(loaded())
    with served(model, {}) as address, connect(address, compression=None) as socket:
        for message in messages:
            socket.send(encode(message))
            answer = decode(socket.recv())
        assert (answer["type"], answer["code"]) == ("error", code)
        with pytest.raises(ConnectionClosed):
            socket.recv(5)


def test_a_served_policy_is_evaluated(tmp_path: Path) -> None:
    joints = ["waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate"]
    told = config(state=7)
    told.action_feature = SimpleNamespace(shape=(7,))
    model = predictor(loaded(config=told), Asked([*joints, "gripper"], degrees=True))
    spec = spec_of(model, arm="viperx", joints=[*joints, "gripper"], task="pick_place")
    with served(model, spec) as address:
        asked = EvaluateConfig(
            f"remote:{address}", results=tmp_path, trials=2, conditions=("nominal",),
            videos="none", split="dev",
        )  # fmt: skip
        run = read_run(evaluate(asked).folder)
    assert {trial["status"] for trial in run.trials} == {"valid"}
    assert not [trial for trial in run.trials if trial["failure"] == "policy_error"]

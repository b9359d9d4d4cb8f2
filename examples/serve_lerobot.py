"""Serve a policy of LeRobot to ArmTrials (docs/serving.md, "LeRobot's policies").

It runs in LeRobot's own environment and needs lerobot, msgpack, numpy and websockets there, and the
three files beside it, nothing of ArmTrials.
"""

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from lerobot_inputs import Asked, MistakeError, choose_inputs
from lerobot_policy import Predictor, find_folder, hashes, load, load_config
from policy_server import address_of, listening

EXAMPLE = """\
example:
  python serve_lerobot.py --policy outputs/train/act/checkpoints/last/pretrained_model \\
    --arm koch --task pick_place --camera overhead=observation.images.top --degrees \\
    --joints shoulder_pan shoulder_lift elbow_flex wrist_flex wrist_roll gripper
then, where ArmTrials is:
  armtrials evaluate --policy remote:ws://localhost:8765"""


def describe(model: Predictor, config: Any, options: argparse.Namespace) -> dict[str, Any]:  # noqa: ANN401
    """Return ``policy`` of the protocol's hello, without the hashes.

    Raises:
        MistakeError: --execute that the chunk does not allow.
    """
    usual = min(getattr(config, "n_action_steps", model.chunk), model.chunk)
    execute = usual if options.execute is None else options.execute
    if not 1 <= execute <= model.chunk:
        raise MistakeError(f"--execute must be in 1..{model.chunk}, the chunk, got {execute}")
    spec = {
        "arm": options.arm,
        "joints": options.joints,
        "control_hz": options.control_hz,
        "task": options.task,
        "track": "pixels" if model.inputs.cameras else "state",
        "observations": {key: list(shape) for key, shape in model.shapes.items()},
        "n_obs": model.n_obs,
        "chunk": model.chunk,
        "execute": execute,
        "language": hasattr(config, "tokenizer_max_length"),
    }
    return {
        "name": options.name or config.type,
        "algorithm": f"lerobot {config.type}",
        "spec": spec,
    }


def software(device: str) -> dict[str, str]:
    """Return versions and machine, for the record."""
    found = {"python": platform.python_version(), "machine": platform.platform(), "device": device}
    for name in ("lerobot", "torch", "transformers", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; argparse itself tells wrong ones and exits with code 2."""
    parser = argparse.ArgumentParser(
        description="Serve a LeRobot policy to ArmTrials. LeRobot's processors may name any class "
        "of any package: serve checkpoints that you trust.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--policy", required=True, help="a folder with config.json, or a name on the hub")
    add("--arm", required=True, help="ArmTrials' name of the robot, as viperx or koch")
    add("--joints", required=True, nargs="+", help="its joints, in the order of an action")
    add("--task", required=True, help="what the policy was trained on, as pick_place")
    add("--control-hz", type=float, default=50.0, help="actions a second (default 50)")
    add("--camera", nargs="+", default=[], metavar="OURS=THEIRS", action="extend",
        help="overhead=observation.images.top; cameras of one name need none")  # fmt: skip
    add("--objects", nargs="+", default=[],
        help="state track: whose poses are observation.environment_state, in order")  # fmt: skip
    add("--without", nargs="+", default=[], metavar="KEY",
        help="inputs that the policy can do without and is not given")  # fmt: skip
    add(
        "--degrees",
        action="store_true",
        help="the policy counts joints in degrees and grippers (names ending in gripper) from 0 "
        "closed to 100 open: states are multiplied by 180/pi and 100, actions divided; without "
        "it rad and 0..1 on both sides. Zeros and signs of joints must be those of the arm",
    )
    add("--execute", type=int, help="actions before the next prediction (n_action_steps)")
    add("--name", help="row on the leaderboard (default: the type of the policy)")
    add("--host", default="127.0.0.1", help="there is no password (default 127.0.0.1)")
    add("--port", type=int, default=8765, help="0 takes a free one (default 8765)")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    return parser.parse_args(arguments)


def prepare(options: argparse.Namespace) -> tuple[Predictor, dict[str, Any]]:
    """Load what is asked for; return it with ``policy`` and ``server`` of the protocol's hello.

    Raises:
        MistakeError: what a user can mend.
    """
    if not options.control_hz > 0:
        raise MistakeError(f"--control-hz must be positive, got {options.control_hz}")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise MistakeError(f"--device: {options.device} is not here, known: cpu")
    asked = Asked(options.joints, options.camera, options.objects, options.without, options.degrees)
    folder = find_folder(options.policy)
    config = load_config(folder, options.device)
    inputs = choose_inputs(config, asked)  # before anything large is read
    model = Predictor(load(folder, config), inputs)
    policy = {**describe(model, config, options), "hashes": hashes(folder, asked)}
    return model, {"policy": policy, "server": software(options.device)}


def run(options: argparse.Namespace) -> None:
    """Load and serve until interrupted.

    Raises:
        MistakeError: what a user can mend.
    """
    model, hello = prepare(options)
    try:
        server = listening(model, hello, options.host, options.port)
    except OSError as error:
        raise MistakeError(f"cannot serve on {options.host}:{options.port}: {error}") from error
    with server:
        tell(address_of(server), model, hello["policy"])
        server.serve_forever()


def tell(address: str, model: Predictor, policy: Mapping[str, Any]) -> None:
    """Say what is served, where and how."""
    spec = policy["spec"]
    how = "all trials at once" if model.together else "trials one after the other"
    print(f"{policy['name']}: chunk {spec['chunk']}, execute {spec['execute']}, {how}")
    print(f"serving at {address}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; return the exit code."""
    try:
        run(read_options(arguments))
    except MistakeError as mistake:
        print(f"serve_lerobot: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A checkpoint of LeRobot: loaded by LeRobot, asked for chunks of actions in ArmTrials' units."""

import hashlib
import importlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot_inputs import Array, Asked, Inputs, MistakeError
from policy_server import dtype_of

WEIGHTS = "model.safetensors"
FILES = ("config.json", WEIGHTS, "policy_preprocessor.json", "policy_postprocessor.json")
FLOW = ("smolvla", "pi0", "pi05")
DETERMINISTIC = ("act",)
"""Types whose predictions have nothing random."""


@dataclass(frozen=True)
class Checkpoint:
    """What LeRobot loads of a folder: policy, its config, the pre- and the post-processor."""

    policy: Any
    config: Any
    before: Any
    after: Any


@dataclass
class Trial:
    """One trial: what it was told, and where all of its noise comes from."""

    task: str
    noise: torch.Generator


def noise_shape(config: Any) -> tuple[int, int] | None:  # noqa: ANN401
    """Return the shape of the noise that a prediction is given for a trial, None if it takes none.

    Diffusion with DDPM is given none: it draws more of it at every denoising step.
    """
    if config.type in FLOW:
        return config.chunk_size, config.max_action_dim
    if config.type == "diffusion" and config.noise_scheduler_type == "DDIM":
        return config.horizon, config.action_feature.shape[0]
    return None


class Predictor:
    """A policy of LeRobot that answers our observations, one prediction at a time.

    Attributes:
        inputs: what its inputs are made of.
        shapes: by our key, the shape of one observation.
        n_obs: observation steps it sees.
        chunk: actions of a prediction.
        together: all trials go through the network at once; otherwise each alone, with torch's
            generator seeded by the trial.
    """

    def __init__(self, checkpoint: Checkpoint, inputs: Inputs) -> None:
        """Predict once for two trials, of which nothing is seen, to learn how long a chunk is.

        Raises:
            MistakeError: LeRobot cannot, or what comes is no chunk of joint targets a trial.
        """
        self._of, self.inputs, self.shapes = checkpoint, inputs, inputs.shapes
        self.n_obs = int(checkpoint.config.n_obs_steps)
        self._noise = noise_shape(checkpoint.config)
        self.together = self._noise is not None or checkpoint.config.type in DETERMINISTIC
        self._turn = threading.Lock()
        nothing = {k: np.zeros((2, self.n_obs, *s), dtype_of(k)) for k, s in self.shapes.items()}
        try:
            found = self.act(nothing, self.begin(["", ""], [0, 1]))
        except Exception as error:
            raise MistakeError(f"the policy cannot predict a chunk: {said(error)}") from error
        if found.ndim != 3 or found.shape[::2] != (2, len(inputs.scale)):
            wanted = f"(2, chunk, {len(inputs.scale)})"
            raise MistakeError(f"a prediction for 2 trials must be {wanted}, got {found.shape}")
        self.chunk = found.shape[1]

    def begin(self, instructions: Sequence[str], seeds: Sequence[int]) -> list[Trial]:
        """Return new trials."""
        pairs = zip(instructions, seeds, strict=True)
        return [Trial(told, torch.Generator().manual_seed(seed)) for told, seed in pairs]

    def act(self, obs: Mapping[str, Array], trials: Sequence[Trial]) -> Array:
        """Return (trials, chunk, joints) float32 joint targets [rad], grippers 0..1.

        Args:
            obs: our keys, each (trials, n_obs, *shape).
            trials: one a row; each goes on in its noise.
        """
        with self._turn:
            if self.together:
                return self._predict(obs, trials)
            rows = []
            for i, trial in enumerate(trials):
                torch.manual_seed(int(torch.randint(2**31, (), generator=trial.noise)))
                rows.append(self._predict({k: v[i : i + 1] for k, v in obs.items()}, [trial]))
            return np.concatenate(rows)

    def _predict(self, obs: Mapping[str, Array], trials: Sequence[Trial]) -> Array:
        policy, config = self._of.policy, self._of.config
        given = {}
        if self._noise is not None:
            drawn = [torch.randn(self._noise, generator=trial.noise) for trial in trials]
            given["noise"] = torch.stack(drawn).to(config.device)
        tasks = [trial.task for trial in trials]
        device = torch.device(config.device).type
        with torch.inference_mode(), torch.autocast(device, enabled=config.use_amp):
            steps = [
                self._of.before({**self.inputs.step(obs, at), "task": tasks})
                for at in range(self.n_obs)
            ]
            policy.reset()
            chunk = policy.predict_action_chunk(self._remembered(steps), **given)
            actions = self._of.after(chunk.flatten(0, 1)).reshape(chunk.shape)
        return self.inputs.targets(actions.float().cpu().numpy())

    def _remembered(self, steps: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Fill the queues of a policy that keeps observations; return the present step."""
        images = self._of.config.image_features
        for key, queue in getattr(self._of.policy, "_queues", {}).items():
            if key == "observation.images" and images:
                for step in steps:
                    step[key] = torch.stack([step[image] for image in images], dim=-4)
            if key.startswith("observation."):
                queue.extend(step[key] for step in steps if key in step)
        return {key: value for key, value in steps[-1].items() if key != "action"}


def said(error: Exception) -> str:
    """Return an exception in one line of at most 400 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:400]


def find_folder(name: str) -> Path:
    """Return the folder of a checkpoint: ``name`` itself, or where the hub's cache has it.

    Raises:
        MistakeError: it is nowhere, or lacks a file.
    """
    folder = Path(name)
    if not folder.is_dir():
        try:
            from huggingface_hub import snapshot_download

            wanted = ["*.json", "*.safetensors"]
            folder = Path(snapshot_download(name, allow_patterns=wanted))
        except Exception as error:
            raise MistakeError(
                f"--policy: {name!r} is no folder, and the hub does not give it ({said(error)})"
            ) from error
    lacking = [file for file in FILES if not (folder / file).is_file()]
    if lacking:
        inner = folder / "pretrained_model"
        hint = f"; it has a folder {inner}: name that" if inner.is_dir() else (
            "; a checkpoint from before LeRobot 0.4 has no processors: LeRobot's "
            "migrate_policy_normalization makes them"
        )  # fmt: skip
        raise MistakeError(f"--policy: {folder} lacks {', '.join(lacking)}{hint}")
    return folder


def load_config(folder: Path, device: str) -> Any:  # noqa: ANN401
    """Let LeRobot load the config of a checkpoint.

    Raises:
        MistakeError: lerobot is not installed, does not know this type, or cannot read it.
    """
    try:
        from lerobot.configs.policies import PreTrainedConfig

        importlib.import_module("lerobot.policies.factory")  # by which the types are known
    except ImportError as error:
        raise MistakeError(f"LeRobot is not here: pip install lerobot ({said(error)})") from error
    known = PreTrainedConfig.get_known_choices()
    try:
        named = json.loads((folder / "config.json").read_text())
        kind, adapter = named.get("type"), named.get("use_peft")
        config = PreTrainedConfig.from_pretrained(folder) if kind in known else None
    except Exception as error:
        raise MistakeError(f"LeRobot cannot read {folder}/config.json: {said(error)}") from error
    if config is None:
        raise MistakeError(
            f"{folder}: lerobot {version('lerobot')} has no policy of type {kind!r}; known: "
            f"{', '.join(sorted(known))}"
        )
    if adapter:
        raise MistakeError(f"{folder} is an adapter: merge it into its base and serve the result")
    config.device = device
    return config


def load(folder: Path, config: Any) -> Checkpoint:  # noqa: ANN401
    """Let LeRobot load a checkpoint.

    Raises:
        MistakeError: LeRobot cannot, or weights are missing that it would leave random.
    """
    from lerobot.policies.factory import get_policy_class, make_pre_post_processors
    from lerobot.policies.pretrained import PreTrainedPolicy

    strict = {}
    on_device = {"device_processor": {"device": config.device}}
    try:
        kind = get_policy_class(config.type)
        if kind.from_pretrained.__func__ is PreTrainedPolicy.from_pretrained.__func__:
            strict = {"strict": True}
            if getattr(config, "pretrained_backbone_weights", None):
                config.pretrained_backbone_weights = None  # downloaded only to be overwritten
        policy = kind.from_pretrained(folder, config=config, **strict)
        before, after = make_pre_post_processors(
            config, str(folder), preprocessor_overrides=on_device
        )
    except Exception as error:
        raise MistakeError(f"LeRobot cannot load {folder}: {said(error)}") from error
    return Checkpoint(policy, config, before, after)


def hashes(folder: Path, asked: Asked) -> dict[str, str]:
    """Return SHA-256 of the weights, and of all else that decides an action."""
    settings = hashlib.sha256(repr(sorted(asdict(asked).items())).encode())
    for path in [*sorted(folder.glob("policy_*")), folder / "config.json"]:
        settings.update(path.name.encode() + path.read_bytes())
    with (folder / WEIGHTS).open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    return {"weights": weights, "settings": settings.hexdigest()}

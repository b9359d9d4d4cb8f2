"""One training step, ours or somebody else's, at equal architecture and batch.

``python perf/train_step.py armtrials act`` prints the median milliseconds and the number of
parameters; so do ``lerobot act``, ``lerobot diffusion`` and ``robomimic bc_rnn``. Each half runs in
the environment that has its package; nothing of the others is needed there.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

JOINTS, OBJECTS = 7, 14  # qpos; poses of a cube and a zone
WIDTH, FEEDFORWARD, HEADS = 256, 1024, 8
ENCODER, DECODER, STYLE = 4, 1, 4  # layers of ACT
CHUNK, LATENT = 50, 32
HORIZON, SEEN = 16, 2  # actions and observations of Diffusion Policy
CHANNELS, KERNEL, GROUPS, CODE = (128, 256, 512), 5, 8, 128  # of its U-Net
UNROLLED, HIDDEN, LAYERS, MODES = 10, 400, 2, 5  # BC-RNN
WARM, STEPS = 2, 10

Step = Callable[[], None]
Built = tuple[Step, torch.nn.Module]


def lerobot_act(batch: int) -> Built:
    """Return a training step of LeRobot's ACT: its own classes, loss and optimiser."""
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy

    inputs, outputs = _features()
    config = ACTConfig(
        input_features=inputs,
        output_features=outputs,
        chunk_size=CHUNK,
        n_action_steps=CHUNK,
        dim_model=WIDTH,
        dim_feedforward=FEEDFORWARD,
        n_heads=HEADS,
        n_encoder_layers=ENCODER,
        n_decoder_layers=DECODER,
        n_vae_encoder_layers=STYLE,
        latent_dim=LATENT,
        device="cpu",
    )
    policy = ACTPolicy(config)
    data = {
        "observation.state": torch.randn(batch, JOINTS),
        "observation.environment_state": torch.randn(batch, OBJECTS),
        "action": torch.randn(batch, CHUNK, JOINTS),
        "action_is_pad": torch.zeros(batch, CHUNK, dtype=torch.bool),
    }
    optimiser = torch.optim.AdamW(policy.get_optim_params(), lr=1e-5, weight_decay=1e-4)
    return training_step(policy, optimiser, lambda: policy.forward(data)[0])


def lerobot_diffusion(batch: int) -> Built:
    """Return a training step of LeRobot's Diffusion Policy, U-Net."""
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy

    inputs, outputs = _features()
    config = DiffusionConfig(
        input_features=inputs,
        output_features=outputs,
        n_obs_steps=SEEN,
        horizon=HORIZON,
        n_action_steps=HORIZON // 2,
        down_dims=CHANNELS,
        kernel_size=KERNEL,
        n_groups=GROUPS,
        diffusion_step_embed_dim=CODE,
        device="cpu",
    )
    policy = DiffusionPolicy(config)
    data = {
        "observation.state": torch.randn(batch, SEEN, JOINTS),
        "observation.environment_state": torch.randn(batch, SEEN, OBJECTS),
        "action": torch.randn(batch, HORIZON, JOINTS),
        "action_is_pad": torch.zeros(batch, HORIZON, dtype=torch.bool),
    }
    optimiser = torch.optim.AdamW(policy.get_optim_params(), lr=1e-4, weight_decay=1e-6)
    return training_step(policy, optimiser, lambda: policy.forward(data)[0])


def _features() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what LeRobot's policies read and answer."""
    from lerobot.configs.types import FeatureType, PolicyFeature

    inputs = {
        "observation.state": PolicyFeature(FeatureType.STATE, (JOINTS,)),
        "observation.environment_state": PolicyFeature(FeatureType.ENV, (OBJECTS,)),
    }
    return inputs, {"action": PolicyFeature(FeatureType.ACTION, (JOINTS,))}


def robomimic_bc_rnn(batch: int) -> Built:
    """Return a training step of robomimic's BC-RNN with a mixture: its own ``train_on_batch``."""
    from robomimic.algo import algo_factory
    from robomimic.config import config_factory
    from robomimic.utils.obs_utils import initialize_obs_utils_with_config

    config = config_factory("bc")
    with config.unlocked():
        config.observation.modalities.obs.low_dim = ["qpos", "objects"]
        config.algo.actor_layer_dims = ()
        config.algo.rnn.enabled = True
        config.algo.rnn.horizon = config.train.seq_length = UNROLLED
        config.algo.rnn.hidden_dim, config.algo.rnn.num_layers = HIDDEN, LAYERS
        config.algo.gmm.enabled = True
        config.algo.gmm.num_modes = MODES
    initialize_obs_utils_with_config(config)
    shapes = {"qpos": (JOINTS,), "objects": (OBJECTS,)}
    model = algo_factory("bc", config, shapes, JOINTS, torch.device("cpu"))
    model.set_train()
    seen = {key: torch.randn(batch, UNROLLED, *shape) for key, shape in shapes.items()}
    actions = torch.rand(batch, UNROLLED, JOINTS) * 2 - 1
    data = {"obs": seen, "actions": actions, "goal_obs": None}
    return lambda: model.train_on_batch(data, 0), model.nets


def our_act(batch: int) -> Built:
    """Return a training step of our ACT."""
    from policies.act import ACT, ActConfig
    from policies.attention import LayerConfig

    config = ActConfig(
        chunk=CHUNK,
        execute=CHUNK,
        patch=1,
        layer=LayerConfig(WIDTH, HEADS, FEEDFORWARD),
        style_layers=STYLE,
        encoder_layers=ENCODER,
        decoder_layers=DECODER,
        latent=LATENT,
    )
    return _ours(ACT, config, _data(batch, 1, CHUNK))


def our_diffusion(batch: int) -> Built:
    """Return a training step of our Diffusion Policy, U-Net."""
    from policies.diffusion import PAPER, DiffusionPolicy
    from policies.unet import UNetConfig

    shape = UNetConfig(CHANNELS, KERNEL, GROUPS, CODE, mish=True)
    config = replace(PAPER, chunk=HORIZON, execute=HORIZON // 2, n_obs=SEEN, unet=shape)
    return _ours(DiffusionPolicy, config, _data(batch, SEEN, HORIZON))


def our_bc_rnn(batch: int) -> Built:
    """Return a training step of our BC-RNN, an action a prediction."""
    from policies.bc_rnn import BcRnn, BcRnnConfig

    config = BcRnnConfig(horizon=UNROLLED, hidden=HIDDEN, layers=LAYERS, modes=MODES)
    data = _data(batch * UNROLLED, 1, 1)
    data["action"] = data["action"].clamp(-1, 1)
    return _ours(BcRnn, config, data)


def _data(rows: int, seen: int, chunk: int) -> dict[str, torch.Tensor]:
    return {
        "qpos": torch.randn(rows, seen, JOINTS),
        "objects/all": torch.randn(rows, seen, OBJECTS),
        "action": torch.randn(rows, chunk, JOINTS),
        "pad": torch.zeros(rows, chunk, dtype=torch.bool),
    }


def _ours(kind: Any, config: Any, data: dict[str, torch.Tensor]) -> Built:  # noqa: ANN401
    """Return a training step of an algorithm of ours, as ``armtrials train`` does it."""
    from policies.base import PolicySpec, TrainDefaults
    from policies.optim import make_optimizer
    from policies.torch_build import torch_build
    from policies.train_session import keep_freed_memory

    keep_freed_memory()
    joints = tuple(f"joint{i}" for i in range(JOINTS))
    seen = {"qpos": (JOINTS,), "objects/all": (OBJECTS,)}
    spec = PolicySpec(
        "viperx", joints, 50.0, "pick_place", "state", seen, config.n_obs, config.chunk,
        config.execute,
    )  # fmt: skip
    policy = kind(config, spec)
    optimiser = make_optimizer(policy, TrainDefaults(lr=1e-5))
    bf16 = torch_build().bf16

    def loss() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found: torch.Tensor = policy.loss(data)[0]
            return found

    return training_step(policy, optimiser, loss)


def training_step(
    model: torch.nn.Module, optimiser: torch.optim.Optimizer, loss: Callable[[], torch.Tensor]
) -> Built:
    """Return what one step does (loss, backward pass, clipping, optimiser), and the model."""
    model.train()

    def step() -> None:
        optimiser.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()

    return step, model


HALVES = {
    ("armtrials", "act"): our_act,
    ("armtrials", "diffusion"): our_diffusion,
    ("armtrials", "bc_rnn"): our_bc_rnn,
    ("lerobot", "act"): lerobot_act,
    ("lerobot", "diffusion"): lerobot_diffusion,
    ("robomimic", "bc_rnn"): robomimic_bc_rnn,
}


def main() -> None:
    """Time the half that is asked for and print its median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("half", choices=sorted({half for half, _ in HALVES}))
    parser.add_argument("algorithm", choices=sorted({name for _, name in HALVES}))
    parser.add_argument("--batch", type=int, default=64)
    given = parser.parse_args()
    if (given.half, given.algorithm) not in HALVES:
        known = ", ".join(name for half, name in HALVES if half == given.half)
        parser.error(f"{given.half} has here: {known}")
    torch.manual_seed(0)
    step, model = HALVES[given.half, given.algorithm](given.batch)
    times = []
    for _ in range(WARM + STEPS):
        started = time.process_time()
        step()
        times.append(time.process_time() - started)
    median = statistics.median(times[WARM:])
    size = sum(parameter.numel() for parameter in model.parameters())
    sys.stdout.write(
        f"{given.half} {given.algorithm}: {median * 1e3:.1f} ms CPU a step, batch {given.batch}, "
        f"{size:,} parameters, {torch.get_num_threads()} thread(s), torch {torch.__version__}\n"
    )


if __name__ == "__main__":
    main()

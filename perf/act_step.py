"""One training step of ACT, ours or LeRobot's, at equal architecture and batch.

``python perf/act_step.py armtrials|lerobot [--batch 64]`` prints the median milliseconds. Each half
runs in the environment that has its package; nothing of the other is needed there.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch

JOINTS, OBJECTS = 7, 14  # qpos; poses of a cube and a zone
WIDTH, FEEDFORWARD, HEADS = 256, 1024, 8
ENCODER, DECODER, STYLE = 4, 1, 4  # layers
CHUNK, LATENT = 50, 32
WARM, STEPS = 2, 10

Step = Callable[[], None]


def lerobot_step(batch: int) -> Step:
    """Return one training step of LeRobot's ACT: its own classes, loss and optimiser."""
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy

    config = ACTConfig(
        input_features={
            "observation.state": PolicyFeature(FeatureType.STATE, (JOINTS,)),
            "observation.environment_state": PolicyFeature(FeatureType.ENV, (OBJECTS,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (JOINTS,))},
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


def armtrials_step(batch: int) -> Step:
    """Return one training step of our ACT: the same sizes, bfloat16 where the CPU has it."""
    from policies.act import ACT, ActConfig
    from policies.attention import LayerConfig
    from policies.base import PolicySpec, TrainDefaults
    from policies.optim import make_optimizer
    from policies.torch_build import torch_build

    joints = tuple(f"joint{i}" for i in range(JOINTS))
    seen = {"qpos": (JOINTS,), "objects/all": (OBJECTS,)}
    spec = PolicySpec("viperx", joints, 50.0, "pick_place", "state", seen, 1, CHUNK, CHUNK)
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
    policy = ACT(config, spec)
    data = {
        "qpos": torch.randn(batch, 1, JOINTS),
        "objects/all": torch.randn(batch, 1, OBJECTS),
        "action": torch.randn(batch, CHUNK, JOINTS),
        "pad": torch.zeros(batch, CHUNK, dtype=torch.bool),
    }
    optimiser = make_optimizer(policy, TrainDefaults(lr=1e-5))
    bf16 = torch_build().bf16

    def loss() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return policy.loss(data)[0]

    return training_step(policy, optimiser, loss)


def training_step(
    model: torch.nn.Module, optimiser: torch.optim.Optimizer, loss: Callable[[], torch.Tensor]
) -> Step:
    """Return what one step does: loss, backward pass, clipping, optimiser."""
    model.train()

    def step() -> None:
        optimiser.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()

    return step


def main() -> None:
    """Time the half that is asked for and print its median."""
    halves = {"armtrials": armtrials_step, "lerobot": lerobot_step}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("half", choices=halves)
    parser.add_argument("--batch", type=int, default=64)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    step = halves[arguments.half](arguments.batch)
    times = []
    for _ in range(WARM + STEPS):
        started = time.process_time()
        step()
        times.append(time.process_time() - started)
    median = statistics.median(times[WARM:])
    threads = torch.get_num_threads()
    sys.stdout.write(
        f"{arguments.half}: {median * 1e3:.0f} ms CPU a step, batch {arguments.batch}, "
        f"{threads} thread(s), torch {torch.__version__}\n"
    )


if __name__ == "__main__":
    main()

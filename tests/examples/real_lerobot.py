"""Run by a Python that has lerobot: random policies of LeRobot, and what LeRobot does with them.

    python real_lerobot.py make FOLDER
    python real_lerobot.py act FOLDER

``make`` saves every kind of policy in ``FOLDER/KIND``. ``act`` reads there ``stream.npz``, by key
of LeRobot the observations (T, trials, ...), besides ``task`` and ``seeds`` of the trials, and
writes ``actions.npz``: (T, trials, joints), as LeRobot's own rollout takes them.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.factory import (
    get_policy_class,
    make_policy_config,
    make_pre_post_processors,
)

JOINTS, SIDE = 7, 32
VOCABULARY = 400
SEEN = {
    "observation.state": PolicyFeature(FeatureType.STATE, (JOINTS,)),
    "observation.images.overhead": PolicyFeature(FeatureType.VISUAL, (3, SIDE, SIDE)),
    "observation.images.side": PolicyFeature(FeatureType.VISUAL, (3, SIDE, SIDE)),
}
POSES = {
    "observation.state": PolicyFeature(FeatureType.STATE, (JOINTS,)),
    "observation.environment_state": PolicyFeature(FeatureType.ENV, (14,)),
}
ACT = {
    "chunk_size": 6, "n_action_steps": 4, "dim_model": 32, "n_heads": 2, "dim_feedforward": 32,
    "n_encoder_layers": 1, "pretrained_backbone_weights": None,
}  # fmt: skip
DIFFUSION = {
    "n_obs_steps": 2, "horizon": 8, "n_action_steps": 4, "down_dims": (16, 32), "n_groups": 4,
    "num_train_timesteps": 10, "spatial_softmax_num_keypoints": 4, "drop_n_last_frames": 3,
}  # fmt: skip
SMOLVLA = {
    "chunk_size": 6, "n_action_steps": 4, "num_vlm_layers": 2, "num_steps": 3,
    "resize_imgs_with_padding": (56, 56), "load_vlm_weights": False, "max_state_dim": 10,
    "max_action_dim": 9,
}  # fmt: skip
KINDS = {
    "act": ("act", SEEN, ACT),
    "act_state": ("act", POSES, ACT),
    "ddim": ("diffusion", SEEN, {**DIFFUSION, "noise_scheduler_type": "DDIM"}),
    "ddpm": ("diffusion", SEEN, DIFFUSION),
    "smolvla": ("smolvla", SEEN, SMOLVLA),
}


def save_vlm(folder: Path) -> None:
    """Save a SmolVLM of random weights with its processor."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    special = {
        "fake_image_token": "<fake_token_around_image>", "image_token": "<image>",
        "global_image_token": "<global-img>", "end_of_utterance_token": "<end_of_utterance>",
    }  # fmt: skip
    words = ["<pad>", "<bos>", "<unk>", *special.values(), *map(chr, [10, *range(32, 123)])]
    raw = Tokenizer(models.WordLevel({c: i for i, c in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokens = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<bos>", pad_token="<pad>", unk_token="<unk>",
        extra_special_tokens=special,
    )  # fmt: skip
    text = {
        "model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "head_dim": 16,
        "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 2,
        "vocab_size": VOCABULARY, "max_position_embeddings": 512, "pad_token_id": 0,
        "initializer_range": 0.3,
    }  # fmt: skip
    vision = {
        "model_type": "smolvlm_vision", "hidden_size": 16, "intermediate_size": 32,
        "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
        "initializer_range": 0.3,
    }  # fmt: skip
    config = SmolVLMConfig(
        text_config=text, vision_config=vision, image_token_id=VOCABULARY - 1, scale_factor=2,
        pad_token_id=0,
    )  # fmt: skip
    SmolVLMForConditionalGeneration(config).save_pretrained(folder)
    SmolVLMProcessor(SmolVLMImageProcessor(), tokens, SmolVLMVideoProcessor()).save_pretrained(
        folder
    )


def statistics(features: dict[str, PolicyFeature]) -> dict[str, dict[str, torch.Tensor]]:
    """Return statistics of data that nobody recorded: joints about 0.2, moving by 0.5."""
    made = {}
    for key, feature in features.items():
        shape = (3, 1, 1) if feature.type is FeatureType.VISUAL else feature.shape
        spread = {"mean": 0.2, "std": 0.5, "min": -1.0, "max": 1.5}
        made[key] = {name: torch.full(shape, value) for name, value in spread.items()}
    return made


def make(kind: str, folder: Path) -> None:
    """Save a policy with random weights, and its processors, as LeRobot's training does."""
    name, seen, options = KINDS[kind]
    torch.manual_seed(3)
    if name == "smolvla":
        save_vlm(folder / "vlm")
        options = {**options, "vlm_model_name": str(folder / "vlm")}
    action = {"action": PolicyFeature(FeatureType.ACTION, (JOINTS,))}
    config = make_policy_config(
        name, input_features=dict(seen), output_features=action, device="cpu", **options
    )
    policy = get_policy_class(name)(config)
    before, after = make_pre_post_processors(config, dataset_stats=statistics({**seen, **action}))
    for part in (policy, before, after):
        part.save_pretrained(folder)


def noise_of(config: object, generators: list[torch.Generator]) -> dict[str, torch.Tensor]:
    """Return the noise of one prediction, as the page on serving says it follows from the seeds."""
    if config.type == "smolvla":
        shape = (config.chunk_size, config.max_action_dim)
    elif config.type == "diffusion" and config.noise_scheduler_type == "DDIM":
        shape = (config.horizon, JOINTS)
    else:
        return {}
    return {"noise": torch.stack([torch.randn(shape, generator=each) for each in generators])}


def act(folder: Path, stream: dict[str, np.ndarray]) -> np.ndarray:
    """Return the actions (T, trials, n) of LeRobot's ``select_action``."""
    from lerobot.configs.policies import PreTrainedConfig

    config = PreTrainedConfig.from_pretrained(folder)
    policy = get_policy_class(config.type).from_pretrained(folder, config=config)
    before, after = make_pre_post_processors(config, str(folder))
    generators = [torch.Generator().manual_seed(int(seed)) for seed in stream["seeds"]]
    tasks = [str(task) for task in stream["task"]]
    alone = config.type == "diffusion" and config.noise_scheduler_type == "DDPM"
    groups = [[i] for i in range(len(tasks))] if alone else [list(range(len(tasks)))]
    made = np.zeros((len(stream["observation.state"]), len(tasks), JOINTS), np.float32)
    for rows in groups:
        policy.reset()
        for t in range(len(made)):
            noise = {}
            if t % config.n_action_steps == 0:
                noise = noise_of(config, [generators[i] for i in rows])
                if alone:
                    seed = torch.randint(2**31, (), generator=generators[rows[0]])
                    torch.manual_seed(int(seed))
            seen = {k: torch.from_numpy(v[t, rows]) for k, v in stream.items() if "." in k}
            batch = before({**seen, "task": [tasks[i] for i in rows]})
            made[t, rows] = after(policy.select_action(batch, **noise)).numpy()
    return made


def main() -> None:
    """Do what the command line says, for every kind."""
    what, root = sys.argv[1], Path(sys.argv[2])
    for kind in KINDS:
        if what == "make":
            make(kind, root / kind)
        else:
            with np.load(root / kind / "stream.npz") as found:
                np.savez(root / kind / "actions.npz", actions=act(root / kind, dict(found)))


if __name__ == "__main__":
    main()

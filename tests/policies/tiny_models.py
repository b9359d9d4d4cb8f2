"""Models of transformers with random weights, as small as they come, each in a folder."""

from pathlib import Path
from typing import Any

import torch

SIDE, PATCH = 28, 14
SPREAD = 0.3  # of the weights: wide enough that what is seen makes a difference


def tokenizer(folder: Path) -> None:
    """Save a tokenizer of single characters."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = ["<pad>", "<bos>", "<unk>", *map(chr, range(10, 11)), *map(chr, range(32, 123))]
    raw = Tokenizer(models.WordLevel({c: i for i, c in enumerate(known)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<bos>", pad_token="<pad>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)


def _gemma(width: int, vocabulary: int) -> dict[str, Any]:
    return {
        "model_type": "gemma", "hidden_size": width, "num_hidden_layers": 2,
        "intermediate_size": 2 * width, "num_attention_heads": 2, "num_key_value_heads": 1,
        "head_dim": 8, "vocab_size": vocabulary, "max_position_embeddings": 256,
        "initializer_range": SPREAD,
    }  # fmt: skip


def _siglip(width: int) -> dict[str, Any]:
    return {
        "model_type": "siglip_vision_model", "hidden_size": width, "intermediate_size": 2 * width,
        "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": SIDE, "patch_size": PATCH,
        "vision_use_head": False, "initializer_range": SPREAD,
    }  # fmt: skip


def pi0(folder: Path, chunk: int = 4, seed: int = 0) -> Path:
    """Save a pi0 of some ten thousand weights."""
    from transformers import PI0Config, PI0ForConditionalGeneration

    torch.manual_seed(seed)
    vlm = {
        "model_type": "paligemma", "text_config": _gemma(16, 200), "vision_config": _siglip(16),
        "projection_dim": 16, "image_token_id": 199,
    }  # fmt: skip
    config = PI0Config(
        vlm_config=vlm, dit_config=_gemma(16, 200), chunk_size=chunk, max_state_dim=8,
        max_action_dim=8,
    )  # fmt: skip
    return _saved(PI0ForConditionalGeneration(config), folder)


def paligemma(folder: Path, seed: int = 0) -> Path:
    """Save a PaliGemma, whose language model is Gemma."""
    from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration

    torch.manual_seed(seed)
    config = PaliGemmaConfig(
        text_config=_gemma(16, 400), vision_config=_siglip(16), projection_dim=16,
        image_token_id=399, vocab_size=400,
    )  # fmt: skip
    return _saved(PaliGemmaForConditionalGeneration(config), folder)


def _llama(width: int, vocabulary: int) -> dict[str, Any]:
    return {
        "model_type": "llama", "hidden_size": width, "num_hidden_layers": 2,
        "intermediate_size": 2 * width, "num_attention_heads": 2, "num_key_value_heads": 2,
        "vocab_size": vocabulary, "max_position_embeddings": 256, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 2, "initializer_range": SPREAD,
    }  # fmt: skip


def llava(folder: Path, seed: int = 0) -> Path:
    """Save a LLaVA: CLIP and Llama, of the families nearest to OpenVLA's."""
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(seed)
    vision = {**_siglip(16), "model_type": "clip_vision_model", "projection_dim": 16}
    vision.pop("vision_use_head")
    config = LlavaConfig(
        text_config=_llama(16, 400), vision_config=vision, image_token_index=399,
        vision_feature_layer=-1,
    )  # fmt: skip
    return _saved(LlavaForConditionalGeneration(config), folder)


def smolvlm(folder: Path, seed: int = 0) -> Path:
    """Save a SmolVLM, on which SmolVLA is built."""
    from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration

    torch.manual_seed(seed)
    vision = {**_siglip(16), "model_type": "smolvlm_vision"}
    vision.pop("vision_use_head")
    config = SmolVLMConfig(
        text_config=_llama(16, 400), vision_config=vision, image_token_id=399, scale_factor=2,
        pad_token_id=0,
    )  # fmt: skip
    return _saved(SmolVLMForConditionalGeneration(config), folder)


def text_model(folder: Path, seed: int = 0) -> Path:
    """Save a BERT, as sentence encoders are."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=200, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32,
    )  # fmt: skip
    return _saved(BertModel(config), folder)


def _saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer(folder)
    return folder

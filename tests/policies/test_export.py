"""An exported policy is a checkpoint like any other, and acts as the network it was made from."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import MakeDemos, arm_spec

from envs.errors import UsageError
from policies.act import ACT
from policies.bc import BehaviorCloning
from policies.bc_rnn import BcRnn
from policies.checkpoint import (
    Deployment,
    load_checkpoint,
    load_checkpoint_on,
    load_network,
    load_policy,
    manifest_entry,
)
from policies.checkpoint_files import PROVENANCE, sha256
from policies.export import PARITY, ExportConfig, export
from policies.exported import FORMATS, ExportedPolicy, GraphForm
from policies.serve import fork
from policies.train import train
from policies.train_config import TrainConfig
from policies.trained import use_ddim_steps

pytest.importorskip("onnxruntime")

TINY = {"width": 16, "heads": 2, "feedforward": 16, "dropout": 0.0, "pre_norm": True}


@pytest.fixture
def made(tmp_path: Path, demos: MakeDemos, tiny: None):
    """Train a tiny policy for two steps and return its folder."""

    def make(algo: str, preset: str = "quick", track: str = "state", image: int = 0) -> Path:
        data = demos(f"data-{image}", 3, image)
        out = tmp_path / f"{algo}-{preset}-{track}"
        return train(
            TrainConfig(algo, data, out, preset=preset, track=track, steps=2, batch=2, threads=1)
        )

    return make


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets so small that they export in a moment."""
    from policies.attention import LayerConfig
    from policies.diffusion import DiffusionPolicy
    from policies.flow import FlowPolicy
    from policies.sentences import SentenceConfig
    from policies.transformer import TransformerConfig
    from policies.unet import UNetConfig
    from policies.vision import VisionConfig
    from policies.vla import Vla

    layer, eye = LayerConfig(**TINY), VisionConfig(widths=(8, 8), strides=(1, 2), features=8)
    chunks = {"chunk": 16, "execute": 5, "vision": eye}
    denoise = {
        **chunks, "patch": 4, "condition": (8,), "denoise": 3,
        "unet": UNetConfig((16, 32), groups=4), "transformer": TransformerConfig(1, layer),
    }  # fmt: skip
    settings = {
        ACT: {**chunks, "patch": 4, "layer": layer, "encoder_layers": 1, "hidden": 8},
        BehaviorCloning: {"hidden": (8,), "vision": eye},
        BcRnn: {"hidden": 8, "horizon": 3, "vision": eye},
        DiffusionPolicy: denoise,
        FlowPolicy: denoise,
        Vla: {
            "chunk": 16,
            "execute": 5,
            "patch": 4,
            "vision": eye,
            "trunk": layer,
            "layers": 1,
            "transformer": TransformerConfig(1, layer, memory=True),
            "denoise": 3,
            "grid": 3,
            "sentence": SentenceConfig(buckets=64, words=8, width=16, layers=1, heads=2),
            "bins": 16,
            "readouts": 2,
        },
    }
    for kind, changes in settings.items():
        for key in [key for key in kind.PRESETS if key[1].startswith("quick")]:
            known = kind.PRESETS[key]
            small = known._replace(config=replace(known.config, **changes))
            monkeypatch.setitem(kind.PRESETS, key, small)


def observe(policy, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    seen = {}
    for key, shape in policy.spec.observations.items():
        size = (rows, policy.spec.n_obs, *shape)
        picture = key.startswith("images/")
        seen[key] = (
            rng.integers(0, 256, size).astype(np.uint8)
            if picture
            else rng.normal(size=size).astype(np.float32)
        )
    return seen


def largest_gap(one, other, rows: int = 4) -> float:
    """The largest difference of an action over three predictions of a trial."""
    gap = 0.0
    for policy in (one, other):
        policy.reset(["go"] * rows, range(10, 10 + rows))
    for call in range(3):
        seen = observe(one, rows, call)
        gap = max(gap, float(np.abs(one.act(seen) - other.act(seen)).max()))
    return gap


EXPORTABLE = [
    *((name, "quick", "state") for name in ("bc", "bc_rnn", "act", "diffusion", "flow")),
    ("diffusion", "quick-transformer", "state"),
    ("act", "quick-delta", "state"),
    ("act", "quick", "pixels"),
    ("vla", "quick", "state"),
    ("vla", "quick-tokens", "state"),
    ("vla", "quick", "pixels"),
]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("algo", EXPORTABLE, ids="-".join)
def test_a_graph_acts_as_its_network_from_the_same_seeds(made, tmp_path: Path, algo, kind: str):
    folder = made(*algo, image=24 if algo[2] == "pixels" else 0)
    done = export(ExportConfig(folder, tmp_path / "graph", GraphForm(kind)))
    graph, network = load_checkpoint(done.folder), load_checkpoint(folder)
    assert done.error <= PARITY
    assert isinstance(graph, ExportedPolicy)
    assert largest_gap(network, graph) <= PARITY
    assert largest_gap(network, graph, rows=1) <= PARITY


def test_the_folder_of_a_graph_is_loaded_named_and_described_as_any_other(made, tmp_path: Path):
    folder = made("act")
    export(ExportConfig(folder, tmp_path / "graph", GraphForm("onnx")))
    policy = load_policy(tmp_path / "graph", Deployment(arm_spec(), "toy", "state"))
    entry, own = manifest_entry(policy), manifest_entry(load_policy(folder))
    assert policy.name == "act-onnx"
    assert entry["data"] == own["data"]
    assert entry["exported"]["from"] == own["hashes"]["weights"] != entry["hashes"]["weights"]
    with pytest.raises(UsageError, match="trained for task 'toy', this is 'pour'"):
        load_policy(tmp_path / "graph", Deployment(arm_spec(), "pour", "state"))


def test_the_threads_of_a_graph_change_no_action_beyond_rounding(made, tmp_path: Path):
    export(ExportConfig(made("act"), tmp_path / "graph", GraphForm("onnx")))
    one = load_checkpoint_on(str(tmp_path / "graph"), threads=1)
    three = load_checkpoint_on(str(tmp_path / "graph"), threads=3)
    torch.set_num_threads(1)
    assert largest_gap(one, three) <= PARITY


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_smaller_precision_makes_a_smaller_file_that_acts_nearly_alike(
    made, tmp_path: Path, precision: str
):
    folder = made("bc")
    sizes = {}
    for name in ("fp32", precision):
        done = export(ExportConfig(folder, tmp_path / name, GraphForm("onnx", name)))
        sizes[name] = (done.folder / "model.onnx").stat().st_size
    graph = load_checkpoint(tmp_path / precision)
    assert graph.name == f"bc-onnx-{precision}"
    assert 0 < largest_gap(load_checkpoint(folder), graph) < 0.1


def test_clients_of_one_graph_have_trials_of_their_own(made, tmp_path: Path):
    export(ExportConfig(made("bc_rnn"), tmp_path / "graph", GraphForm("onnx")))
    policy = load_checkpoint(tmp_path / "graph")
    mine, theirs = fork(policy), fork(policy)
    for one in (mine, theirs):
        one.reset(["go"], [0])
    first = mine.act(observe(policy, 1))
    mine.act(observe(policy, 1, 1))
    assert np.array_equal(theirs.act(observe(policy, 1)), first)


def test_denoising_steps_are_chosen_at_the_export_and_not_later(made, tmp_path: Path):
    folder = made("diffusion")
    config = ExportConfig(folder, tmp_path / "graph", GraphForm("onnx"), ddim_steps=2)
    export(config)
    network, graph = load_network(folder), load_checkpoint(tmp_path / "graph")
    use_ddim_steps(network, 2)
    assert largest_gap(network, graph) <= PARITY
    with pytest.raises(UsageError, match="ddim_steps is part of an exported graph"):
        use_ddim_steps(graph, 3)


def test_a_module_that_onnx_cannot_express_is_named(made, tmp_path: Path, monkeypatch):
    class Odd(torch.nn.Module):
        def forward(self, x):
            return torch.linalg.matrix_exp(x[:, :1, None] * 0)[:, 0] + x

    folder = made("bc")
    policy = load_network(folder)
    policy.algorithm.trunk.insert(1, Odd())
    monkeypatch.setattr("policies.export.load_network", lambda path: policy)
    with pytest.raises(UsageError, match=r"module .*trunk.1 \(Odd\) cannot be exported"):
        export(ExportConfig(folder, tmp_path / "graph", GraphForm("onnx")))
    assert not (tmp_path / "graph").exists()


def test_a_module_that_cannot_be_traced_is_named(made, tmp_path: Path, monkeypatch):
    class Opaque(torch.nn.Module):
        def forward(self, x):
            raise NotImplementedError("it asks a robot")

    folder = made("bc")
    policy = load_network(folder)
    policy.algorithm.trunk.insert(1, Opaque())
    monkeypatch.setattr("policies.export.load_network", lambda path: policy)
    with pytest.raises(UsageError, match=r"trunk.1 \(Opaque\) cannot be exported: it asks a robot"):
        export(ExportConfig(folder, tmp_path / "graph", GraphForm("torchscript")))


def test_a_graph_that_depends_on_values_is_refused(made, tmp_path: Path, monkeypatch):
    class Branch(torch.nn.Module):
        def forward(self, x):
            return x + float(x.detach().mean() + x.shape[0])

    folder = made("bc")
    policy = load_network(folder)
    policy.algorithm.trunk.insert(1, Branch())
    monkeypatch.setattr("policies.export.load_network", lambda path: policy)
    with pytest.raises(UsageError, match="does not act as its network"):
        export(ExportConfig(folder, tmp_path / "graph", GraphForm("torchscript")))


@pytest.mark.parametrize("kind", FORMATS)
def test_an_edited_or_mixed_graph_is_refused(made, tmp_path: Path, kind: str):
    folder = made("bc")
    out = tmp_path / "graph"
    export(ExportConfig(folder, out, GraphForm(kind)))
    shutil.copy(folder / "model.safetensors", out)
    with pytest.raises(UsageError, match="files of two checkpoints are mixed"):
        load_checkpoint(out)
    (out / "model.safetensors").unlink()
    other = json.loads((out / "spec.json").read_text())
    (out / "spec.json").write_text(json.dumps({**other, "task": "pour"}))
    with pytest.raises(UsageError, match="is not the file this checkpoint was saved with"):
        load_checkpoint(out)
    provenance = json.loads((out / PROVENANCE).read_text())
    provenance["hashes"]["spec.json"] = sha256((out / "spec.json").read_bytes())
    (out / PROVENANCE).write_text(json.dumps(provenance))
    with pytest.raises(UsageError, match=r"does not belong to the weights in model\."):
        load_checkpoint(out)


def test_bad_wishes_are_refused_with_what_is_possible(made, tmp_path: Path):
    folder = made("bc")
    with pytest.raises(UsageError, match="unknown precision 'int4'; known: fp32, fp16, int8"):
        GraphForm("onnx", "int4")
    with pytest.raises(UsageError, match="precision int8 is of ONNX graphs"):
        ExportConfig(folder, tmp_path / "x", GraphForm("torchscript", "int8"))
    with pytest.raises(UsageError, match="--out must be another folder"):
        ExportConfig(folder, folder, GraphForm("onnx"))
    export(ExportConfig(folder, tmp_path / "graph", GraphForm("onnx")))
    with pytest.raises(UsageError, match="is an exported graph, which cannot be changed"):
        export(ExportConfig(tmp_path / "graph", tmp_path / "again", GraphForm("onnx")))


def test_a_graph_that_gives_nan_is_refused(made, tmp_path: Path, monkeypatch):
    folder = made("bc")
    network = load_network(folder)
    network.normalizer.scaling("action")[0][0] = np.nan
    monkeypatch.setattr("policies.export.load_network", lambda path: network)
    with pytest.raises(UsageError, match="differs by nan"):
        export(ExportConfig(folder, tmp_path / "graph", GraphForm("onnx")))


def test_a_policy_around_a_language_model_and_one_of_several_tasks_say_what_to_do(
    made, tmp_path: Path, monkeypatch
):
    network = load_network(made("bc"))
    network.spec = replace(network.spec, language=True)
    monkeypatch.setattr("policies.export.load_network", lambda path: network)
    config = ExportConfig(tmp_path / "bc", tmp_path / "graph", GraphForm("onnx"))
    with pytest.raises(UsageError, match=r"module \w+ \(\w+\) cannot .*armtrials serve"):
        export(config)
    told = load_checkpoint(made("vla"))
    told.spec = replace(told.spec, task="pour+wipe")
    monkeypatch.setattr("policies.export.load_network", lambda path: told)
    with pytest.raises(UsageError, match="--task must be one of pour, wipe"):
        export(config)

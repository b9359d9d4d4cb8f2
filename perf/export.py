"""A prediction by an exported graph against the same by eager PyTorch, one thread each."""

import tempfile
from pathlib import Path

from envs.collect import collect
from envs.collection import Collection
from perf.ratio import CPU, Ratio, compare
from policies.checkpoint import load_policy, stored_observations
from policies.export import ExportConfig, export
from policies.exported import GraphForm
from policies.train import train
from policies.train_config import TrainConfig

PREDICTIONS = 10  # a round


def act_graph() -> Ratio:
    """Time ACT of the preset ``cpu``, as ONNX."""
    return _graph("act", "ACT, one prediction, ONNX : PyTorch")


def diffusion_graph() -> Ratio:
    """Time Diffusion Policy of the preset ``cpu``, all denoising steps, as ONNX."""
    return _graph("diffusion", "Diffusion Policy, one prediction, ONNX : PyTorch")


def _graph(algo: str, what: str) -> Ratio:
    """Export an untrained network (its speed is that of a trained one) and time it by turns."""
    with tempfile.TemporaryDirectory() as folder:
        data, network = Path(folder) / "data", Path(folder) / "network"
        collect(Collection("pick_place"), 2, data)
        train(TrainConfig(algo, data, network, preset="cpu", steps=1, batch=2))
        done = export(ExportConfig(network, Path(folder) / "graph", GraphForm("onnx")))
        seen = {key: value[:1] for key, value in stored_observations(network).items()}
        policies = [load_policy(path) for path in (done.folder, network)]
        for policy in policies:
            policy.reset([""], [0])

        def ask(index: int) -> None:
            for _ in range(PREDICTIONS):
                policies[index].act(seen)

        return compare(what, 1, lambda: ask(0), lambda: ask(1), clock=CPU).per_piece(
            PREDICTIONS, PREDICTIONS
        )

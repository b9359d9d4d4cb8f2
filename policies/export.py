"""A trained policy as one graph: ONNX or TorchScript, in a checkpoint folder like any other.

The graph holds everything between an observation and a chunk: scaling, the network, for diffusion
and flow the whole denoising loop, offsets. What stays outside: the resize of images (Pillow's
filter), and drawing the noise, which is an input, so that the same seeds give the same actions.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from envs.arm import Array
from envs.errors import UsageError
from envs.tasks import TASKS
from policies.checkpoint import (
    CANARY_SEEDS,
    CANARY_TOLD,
    load_network,
    stored_observations,
    write_checkpoint,
)
from policies.checkpoint_files import read_json
from policies.configs import to_json
from policies.dataset import EpisodeSet, Reading
from policies.exported import (
    ACTION,
    FORMATS,
    NOISE,
    SENTENCE,
    ExportedPolicy,
    GraphForm,
    Slot,
    memory_name,
    open_graph,
)
from policies.torchscript import quietly
from policies.tracing import naming, to_onnx, trace
from policies.train_session import versions
from policies.trained import (
    LearnedPolicy,
    TrainedPolicy,
    placed,
    use_ddim_steps,
    use_sampler,
)
from policies.windows import Sampler

ROWS = 3
"""Batch of the example that is traced; the graph takes any."""
RECORDED = 1000
"""Observations of demonstrations that a graph is compared on."""
PARITY = 1e-4
"""Largest difference of an fp32 graph's action from the network's [rad; gripper opening]."""


@dataclass(frozen=True)
class ExportConfig:
    """What to export, and as what.

    Attributes:
        policy: checkpoint folder.
        out: folder to write.
        form: ``format`` and ``precision`` of the graph; the rest follows from the network.
        ddim_steps: denoising steps; None: the policy's own.
        sampler: ``ddim`` or ``dpm``; None: the policy's own.
        task: of a policy that learned several, the one whose objects the graph knows.
        data: demonstrations on whose observations the graph is compared, too.
    """

    policy: Path
    out: Path
    form: GraphForm
    ddim_steps: int | None = None
    sampler: str | None = None
    task: str | None = None
    data: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a precision that the format does not have, and to overwrite what is exported."""
        if self.form.format != "onnx" and self.form.precision != "fp32":
            raise UsageError(
                f"precision {self.form.precision} is of ONNX graphs; {self.form.format} has fp32"
            )
        if self.out.resolve() == self.policy.resolve():
            raise UsageError("--out must be another folder than the checkpoint's own")


@dataclass(frozen=True)
class Exported:
    """What came out.

    Attributes:
        folder: the exported checkpoint.
        error: largest difference of an action from the network's, on the stored observations and
            on drawn ones of several batch sizes [rad; gripper opening].
        size: of the graph [bytes].
        observations: of how many recorded observations ``recorded`` is the largest difference.
        recorded: None without demonstrations.
    """

    folder: Path
    error: float
    size: int
    observations: int = 0
    recorded: float | None = None


class PolicyGraph(nn.Module):
    """Observations in physical units to actions in physical units, all inputs in one row."""

    def __init__(self, policy: TrainedPolicy, memory: int) -> None:
        """Wrap the network; ``memory``: how many tensors it remembers."""
        super().__init__()
        self.algorithm, self.keys, self.memory = policy.algorithm, policy.spec.vectors, memory
        self.order = tuple(policy.spec.observations)
        self.told = policy.spec.language
        for i, key in enumerate((*self.keys, ACTION)):
            shift, scale = policy.normalizer.scaling(key)
            self.register_buffer(f"shift{i}", torch.from_numpy(shift))
            self.register_buffer(f"scale{i}", torch.from_numpy(scale))
        mask = torch.zeros(policy.spec.n)
        mask[list(policy.offsets)] = 1.0
        self.offsets: Tensor | None
        self.register_buffer("offsets", mask if policy.offsets else None)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return actions (B, chunk, n) and the next memory.

        Args:
            inputs: observations (B, n_obs, ...) in the spec's order, the sentence where one is
                told, noise, memory.
        """
        rest = list(inputs)
        seen = {key: rest.pop(0) for key in self.order}
        sentence = {SENTENCE: rest.pop(0)} if self.told else {}
        memory = tuple(rest[len(rest) - self.memory :]) or None
        noise = rest[0] if len(rest) > self.memory else None
        scaled = {k: self._scaled(k, x) if k in self.keys else x for k, x in seen.items()}
        chunk, kept = self.algorithm.step({**scaled, **sentence}, noise, memory)
        shift, scale = self._scaling(len(self.keys))
        actions = chunk.float() * scale + shift
        if self.offsets is not None:
            actions = actions + self.offsets * seen["qpos"][:, -1:]
        return (actions, *(kept or ()))

    def _scaled(self, key: str, values: Tensor) -> Tensor:
        shift, scale = self._scaling(self.keys.index(key))
        return (values - shift) / scale

    def _scaling(self, index: int) -> tuple[Tensor, Tensor]:
        return self.get_buffer(f"shift{index}"), self.get_buffer(f"scale{index}")


def export(config: ExportConfig, say: Callable[[str], None] = lambda text: None) -> Exported:
    """Write a policy as a graph into a checkpoint folder, and compare it with the network.

    Raises:
        UsageError: the checkpoint is broken or exported already, a module cannot be exported (the
            message says which), the graph does not act as the network, or what it takes is not
            installed.
    """
    policy = load_network(config.policy)
    _place(policy, config.task)
    use_ddim_steps(policy, config.ddim_steps)
    use_sampler(policy, config.sampler)
    form, example = call(policy, config.form)
    say(f"tracing {policy.name}")
    data = graph_bytes(policy, form, example)
    path = config.out / FORMATS[form.format]
    settings = config.policy / "config.json"
    stored = read_json(settings.read_bytes(), settings)
    parts = (policy.spec, {**stored, "export": to_json(form)}, policy.normalizer)
    made = ExportedPolicy.of("", policy.name, parts, open_graph(path, data, 1))
    canary = stored_observations(config.policy)
    error, seen = largest_difference(policy, made, canary), 0
    recorded = None
    if config.data is not None:
        seen, recorded = recorded_difference(policy, made, config.data)
        error = float(np.maximum(error, recorded))
    if form.precision == "fp32" and not error <= PARITY:
        raise UsageError(
            f"the graph of {policy.name} does not act as its network: an action differs by "
            f"{error:.2g} (allowed {PARITY:g}); something in it depends on values or on the batch"
        )
    told = {**to_json(form), **_origin(config, policy), "largest_difference": error}
    origin = {**policy.provenance, "exported": told}

    def model(header: str) -> bytes:
        return _with_header(form.format)(data, header)

    write_checkpoint(config.out, made, canary, parts[1], origin, (path.name, model))
    return Exported(config.out, error, path.stat().st_size, seen, recorded)


def _place(policy: TrainedPolicy, task: str | None) -> None:
    """Put a policy that acts on instructions before the one task that its graph will know.

    Raises:
        UsageError: it learned several and none is named, or it is built around a language model.
    """
    if not policy.spec.language:
        return
    if not hasattr(policy.algorithm.config, "sentence"):
        parts = list(policy.algorithm.named_modules())[1:]
        own = [one for one in parts if type(one[1]).__module__.startswith("transformers")]
        name, module = (own or parts)[0]
        raise UsageError(
            f"module {name} ({type(module).__name__}) cannot be exported: it is a language model "
            "of transformers, whose graph is its own; run the checkpoint as it is, or from a "
            "machine with a GPU by armtrials serve"
        )
    if task is None and len(policy.spec.tasks) > 1:
        known = ", ".join(policy.spec.tasks)
        raise UsageError(f"a graph knows the objects of one task: --task must be one of {known}")
    name = task or policy.spec.task
    if name in TASKS:
        placed(policy, TASKS[name])


def _origin(config: ExportConfig, policy: TrainedPolicy) -> dict[str, Any]:
    own = {"ddim_steps": config.ddim_steps, "sampler": config.sampler}
    settings = {name: value for name, value in own.items() if value is not None}
    return {"from": policy.hashes["weights"], "versions": versions(), **settings}


def call(policy: TrainedPolicy, form: GraphForm) -> tuple[GraphForm, dict[str, Tensor]]:
    """Return how the graph of ``policy`` is called, and an example of its inputs by name."""
    algorithm = policy.algorithm
    example: dict[str, Tensor] = {}
    for key, shape in algorithm.spec.observations.items():
        kind = torch.uint8 if key in policy.spec.images else torch.float32
        example[key] = torch.zeros(ROWS, policy.spec.n_obs, *shape, dtype=kind)
    if algorithm.language:
        example[SENTENCE] = algorithm.read([CANARY_TOLD[i % 2] for i in range(ROWS)])
    noise = algorithm.noise_shape
    drawn = None if noise is None else torch.zeros(ROWS, *noise)
    with naming(algorithm), torch.no_grad():
        _, memory = algorithm.step(dict(example), drawn, None)
    if drawn is not None:
        example[NOISE] = drawn
    slots = [Slot(tuple(x.shape[1:]), str(x.dtype).removeprefix("torch.")) for x in memory or ()]
    example |= {memory_name(i): x.detach().clone() for i, x in enumerate(memory or ())}
    return replace(form, noise=noise, memory=tuple(slots)), example


def graph_bytes(policy: TrainedPolicy, form: GraphForm, example: Mapping[str, Tensor]) -> bytes:
    """Trace the policy and return the graph in the form asked for.

    Raises:
        UsageError: a module that cannot be traced or converted, named; or onnx is not installed.
    """
    graph = PolicyGraph(policy, len(form.memory)).eval()
    traced = trace(graph, tuple(example.values()))
    if form.format == "torchscript":
        out = io.BytesIO()
        with quietly():
            torch.jit.save(torch.jit.freeze(traced), out)
        return out.getvalue()
    try:
        from policies.onnx_runtime import in_fp16, in_int8, optimised
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed: pip install 'armtrials[onnx]'") from error
    data = to_onnx(traced, example, len(form.memory))
    convert = {"fp32": optimised, "fp16": in_fp16, "int8": in_int8}[form.precision]
    return convert(data)


def _with_header(name: str) -> Callable[[bytes, str], bytes]:
    if name == "onnx":
        from policies import onnx_model

        return onnx_model.with_header
    from policies import torchscript

    return torchscript.with_header


def largest_difference(
    network: LearnedPolicy, graph: LearnedPolicy, stored: Mapping[str, Array]
) -> float:
    """Return the largest difference of an action between two forms of one policy.

    They are asked twice in a row, as a recurrent policy needs, for the stored observations (rows as
    ``CANARY_SEEDS``) and for batches of 1 and 5 of them, moved by up to a standard deviation.
    """
    rng = np.random.default_rng(0)
    worst = 0.0
    for rows in (len(CANARY_SEEDS), 1, 5):
        which = np.arange(rows) % len(CANARY_SEEDS)
        batch = {key: values[which] for key, values in stored.items()}
        for one in (network, graph):
            one.reset([CANARY_TOLD[i] for i in which], range(rows))
        for _ in range(2):
            found = [one.act(batch) for one in (network, graph)]
            worst = float(np.maximum(worst, np.abs(found[0] - found[1]).max()))  # NaN stays
            batch = {key: _moved(network, key, values, rng) for key, values in batch.items()}
    return worst


def recorded_difference(
    network: LearnedPolicy, graph: LearnedPolicy, folder: Path
) -> tuple[int, float]:
    """Return how many observations of demonstrations were shown, and the largest difference.

    They are spread evenly over all steps of all episodes of ``folder``.

    Raises:
        UsageError: the folder holds none, or none that the policy could see.
    """
    spec = network.spec
    blind = bool(network.provenance.get("blind"))
    reading = Reading(spec.track, blind=blind, validation=0.0, language=spec.language)
    data = EpisodeSet.load(folder, reading)
    found = {key: data.recorded.get(key) for key in spec.observations}
    if found != dict(spec.observations):
        raise UsageError(f"{folder}: the policy reads {dict(spec.observations)}, there is {found}")
    windows = Sampler(data, range(len(data)), spec.n_obs, spec.chunk)
    count, worst = min(RECORDED, len(windows)), 0.0
    for which in np.array_split(
        np.linspace(0, len(windows) - 1, count).astype(int), count // 50 + 1
    ):
        batch = windows.windows(which)
        told = batch["sentence"].tolist() if spec.language else [""] * len(which)
        for one in (network, graph):
            one.reset(told, which.tolist())
        first, second = (one.act(batch) for one in (network, graph))
        worst = float(np.maximum(worst, np.abs(first - second).max()))
    return count, worst


def _moved(policy: LearnedPolicy, key: str, values: Array, rng: np.random.Generator) -> Array:
    if key in policy.spec.images:
        return np.roll(values, 1, axis=-2)
    _, scale = policy.normalizer.scaling(key)
    moved: Array = values + (rng.uniform(-1, 1, values.shape) * scale).astype(np.float32)
    return moved

"""A policy as the graph that it was exported as: runs without the network's code.

A graph takes observations in physical units (images uint8, of the size the network sees), the noise
and the memory of a recurrent policy, and gives actions in physical units: scaling, denoising and
offsets are part of it.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from envs.arm import Array
from envs.errors import UsageError
from policies.base import PolicySpec
from policies.configs import from_json
from policies.normalize import Normalizer
from policies.sentences import SentenceConfig, reader_of
from policies.trained import LearnedPolicy

GRAPHS: Mapping[str, str] = {
    "model.onnx": "policies.onnx_runtime:OnnxRuntime",
    "model.ts": "policies.torchscript:ScriptRuntime",
}
"""File of a graph, and what runs it (imported when there is one)."""
FORMATS = {"onnx": "model.onnx", "torchscript": "model.ts"}
PRECISIONS = ("fp32", "fp16", "int8")
NOISE, ACTION, SENTENCE = "noise", "action", "sentence"


class Runtime(Protocol):
    """A graph that is ready to run.

    Attributes:
        header: what it was saved beside, see ``policies.checkpoint``.
    """

    header: str

    def __init__(self, data: bytes, threads: int) -> None:
        """Read a graph from the bytes of its file."""

    def run(self, feed: Mapping[str, Array]) -> list[Array]:
        """Return actions and next memory, of inputs by name in the graph's order."""


@dataclass(frozen=True)
class Slot:
    """What a recurrent policy keeps: the shape of one row, and the type of its numbers."""

    shape: tuple[int, ...]
    dtype: str

    def empty(self, rows: int) -> Array:
        """Return what a trial begins with (rows, *shape): zeros."""
        return np.zeros((rows, *self.shape), self.dtype)


@dataclass(frozen=True)
class GraphForm:
    """How a graph is called; stands in ``config.json`` as ``export``.

    Attributes:
        format: ``"onnx"`` or ``"torchscript"``.
        precision: of its weights: ``"fp32"``, ``"fp16"`` or ``"int8"``.
        noise: shape of a row's noise, None for none.
        memory: what a recurrent policy keeps.
    """

    format: str
    precision: str = "fp32"
    noise: tuple[int, ...] | None = None
    memory: tuple[Slot, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is not known."""
        for what, known in (("format", tuple(FORMATS)), ("precision", PRECISIONS)):
            if (found := getattr(self, what)) not in known:
                raise UsageError(f"unknown {what} {found!r}; known: {', '.join(known)}")

    @property
    def suffix(self) -> str:
        """What the name of a policy ends with: ``-onnx``, ``-onnx-int8``."""
        return f"-{self.format}" + ("" if self.precision == "fp32" else f"-{self.precision}")


class ExportedPolicy(LearnedPolicy):
    """A graph with the specification and statistics it was made with.

    Attributes:
        form: how the graph is called.
        runtime: the graph; copies of the policy share it.
        read: makes tokens of instructions, of a policy that acts on them; else None.
    """

    def __init__(
        self,
        name: str,
        specs: tuple[PolicySpec, PolicySpec],
        normalizer: Normalizer,
        form: GraphForm,
        runtime: Runtime,
    ) -> None:
        """Wrap a graph; ``specs``: with images as cameras deliver and as the network sees them."""
        super().__init__(name, *specs, normalizer)
        self.form, self.runtime = form, runtime
        self.read: Callable[[Sequence[str]], Array] | None = None
        self._told = np.zeros(0)
        self._memory: list[Array] | None = None

    @classmethod
    def of(
        cls,
        name: str,
        own: str,
        parts: tuple[PolicySpec, Mapping[str, Any], Normalizer],
        runtime: Runtime,
    ) -> "ExportedPolicy":
        """Make one from a checkpoint: ``parts`` are spec, config.json and scaling."""
        spec, config, normalizer = parts
        form = from_json(GraphForm, config.get("export", {}), "config.json")
        size = config["image_size"]
        specs = (spec, spec.with_images(tuple(size) if size else None))
        policy = cls(name or own + form.suffix, specs, normalizer, form, runtime)
        if spec.language:
            told = from_json(SentenceConfig, config["settings"]["sentence"], "config.json")
            policy.read = reader_of(told)
        return policy

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new trials; a language policy must be told what to do in each of them."""
        super().reset(instructions, seeds)
        if self.read is not None:
            self._told = self.read(instructions)

    @property
    def noise_shape(self) -> tuple[int, ...] | None:
        """What the graph takes."""
        return self.form.noise

    def _forget(self) -> None:
        self._memory = None

    def _actions(self, obs: dict[str, Array], noise: Array | None) -> Array:
        feed = {
            key: np.ascontiguousarray(v, "u1" if key in self.spec.images else "f4")
            for key, v in obs.items()
        }
        if self.read is not None:
            feed[SENTENCE] = self._told
        if noise is not None:
            feed[NOISE] = noise
        rows = len(next(iter(obs.values())))
        memory = self._memory or [slot.empty(rows) for slot in self.form.memory]
        feed |= {memory_name(i): value for i, value in enumerate(memory)}
        actions, *self._memory = self.runtime.run(feed)
        return actions


def memory_name(index: int) -> str:
    """Return the name of the input for one part of the memory."""
    return f"memory_{index}"


def open_graph(path: Path, data: bytes, threads: int) -> Runtime:
    """Read a graph.

    Raises:
        UsageError: what runs it is not installed, or it is no graph.
    """
    module, _, name = GRAPHS[path.name].partition(":")
    try:
        runtime: type[Runtime] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{path} needs {error.name}, which is not installed: pip install 'armtrials[onnx]'"
        ) from error
    return runtime(data, threads)

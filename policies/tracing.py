"""Modules as graphs; what cannot be one is told with the module in which it stands."""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.onnx import utils

from envs.errors import UsageError
from policies.exported import ACTION
from policies.torchscript import quietly

OPSET = 17
ADVICE = (
    "run the checkpoint as it is (armtrials serve), or write the module with operations that ONNX "
    "has"
)


@contextmanager
def naming(graph: nn.Module) -> Iterator[None]:
    """Turn an error within a module into a ``UsageError`` that names the innermost one."""
    running: list[str] = []
    hooks = []
    for name, module in graph.named_modules():
        here = f"{name or 'the policy'} ({type(module).__name__})"
        hooks += [
            module.register_forward_pre_hook(lambda m, i, here=here: running.append(here)),
            module.register_forward_hook(lambda m, i, o: running.pop() and None),
        ]
    try:
        yield
    except Exception as error:
        where = running[-1] if running else "the policy"
        told = str(error).strip().splitlines()[0]
        raise UsageError(f"module {where} cannot be exported: {told}; {ADVICE}") from error
    finally:
        for hook in hooks:
            hook.remove()


def trace(graph: nn.Module, example: tuple[Tensor, ...]) -> torch.jit.ScriptModule:
    """Trace a module; ``UsageError`` names the submodule in which that fails."""
    with naming(graph), quietly(), torch.no_grad():
        traced: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
            graph, example, check_trace=False
        )
        return traced


def to_onnx(traced: torch.jit.ScriptModule, example: Mapping[str, Tensor], memory: int) -> bytes:
    """Convert a traced graph; ``UsageError`` names the module whose operation ONNX lacks."""
    utils.register_custom_op_symbolic("aten::erfc", _erfc, OPSET)
    outputs = [ACTION, *(f"next_{i}" for i in range(memory))]
    axes = {name: {0: "batch"} for name in (*example, *outputs)}
    out = io.BytesIO()
    try:
        with quietly():
            torch.onnx.export(
                traced, tuple(example.values()), out,  # type: ignore[arg-type]
                dynamo=False, opset_version=OPSET,
                input_names=list(example), output_names=outputs, dynamic_axes=axes,
            )  # fmt: skip
    except Exception as error:
        found = re.search(r"aten::\w+|prim::\w+", str(error))
        operation = found.group() if found else ""
        where = _module_of(traced, operation)
        told = f"has no {operation}" if operation else str(error).splitlines()[0]
        raise UsageError(f"module {where} cannot be exported: ONNX {told}; {ADVICE}") from error
    finally:
        utils.unregister_custom_op_symbolic("aten::erfc", OPSET)
    return out.getvalue()


def _erfc(g: Any, x: Any) -> Any:  # noqa: ANN401  (torch's graph and values)
    """1 - erf(x): ONNX has erf."""
    return g.op("Sub", g.op("Constant", value_t=torch.tensor(1.0)), g.op("Erf", x))


def _module_of(traced: torch.jit.ScriptModule, operation: str) -> str:
    """Return the module whose code has ``operation``: ``algorithm.trunk.2 (Odd)``."""
    scopes = [n.scopeName() for n in traced.inlined_graph.nodes() if n.kind() == operation]
    parts = [part.partition("::") for part in (scopes[0].split("/") if scopes else [])]
    name = ".".join(part[2] for part in parts if part[2])
    return f"{name} ({parts[-1][0].split('.')[-1]})" if name else "the policy"

"""What the installed torch can do on this machine."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class TorchBuild:
    """The installed torch and the machine it runs on.

    Attributes:
        version: with the build's tag, e.g. ``2.13.0+cpu``.
        device: ``cuda`` or ``mps`` where one is usable, else ``cpu``.
        threads: CPU threads torch uses in one process.
        vectors: widest vector instructions torch uses, e.g. ``AVX2``.
        bf16: whether the device multiplies bfloat16 in hardware.
    """

    version: str
    device: str
    threads: int
    vectors: str
    bf16: bool


def torch_build() -> TorchBuild:
    """Ask torch what it can do here."""
    device = "cpu"
    if torch.cuda.is_available():
        device = "cuda"
    elif torch.backends.mps.is_available():
        device = "mps"
    vectors = torch.backends.cpu.get_cpu_capability()
    return TorchBuild(torch.__version__, device, torch.get_num_threads(), vectors, _bf16(device))


def _bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return device == "cpu" and any(
        capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16")
    )


def tracing() -> bool:
    """Tell whether a graph is being made of what runs: then one way must do for all values."""
    return bool(torch.jit.is_tracing())  # type: ignore[no-untyped-call, attr-defined]

"""TorchScript graphs: traced, saved and run by torch without the network's code."""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from envs.arm import Array
from envs.errors import UsageError
from policies.checkpoint_files import BESIDE


@contextmanager
def quietly() -> Iterator[None]:
    """Silence what torch says of tracing: comparing with the network finds what it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class ScriptRuntime:
    """A graph in torch; see ``policies.exported.Runtime``."""

    def __init__(self, data: bytes, threads: int = 1) -> None:
        """Read a graph; torch has one setting for the threads of all that it runs."""
        torch.set_num_threads(threads)
        told = {BESIDE: ""}
        try:
            with quietly():
                self._graph = torch.jit.load(  # type: ignore[no-untyped-call]
                    io.BytesIO(data), _extra_files=told
                )
        except RuntimeError as error:
            raise UsageError(f"this is no TorchScript graph: {error}") from error
        header = told[BESIDE]
        self.header = header.decode() if isinstance(header, bytes) else header or "{}"

    def run(self, feed: Mapping[str, Array]) -> list[Array]:
        """Return actions and next memory, of inputs in the graph's order."""
        with torch.inference_mode():
            outputs = self._graph(*(torch.from_numpy(value) for value in feed.values()))
        return [output.numpy() for output in outputs]


def with_header(data: bytes, header: str) -> bytes:
    """Return a graph that says beside which files it was saved."""
    out = io.BytesIO()
    with quietly():
        graph = torch.jit.load(io.BytesIO(data))  # type: ignore[no-untyped-call]
        torch.jit.save(graph, out, _extra_files={BESIDE: header})
    return out.getvalue()

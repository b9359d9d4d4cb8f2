"""ONNX graphs on the CPU: the only file that imports onnxruntime."""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16

from envs.arm import Array
from envs.errors import UsageError
from policies.checkpoint_files import BESIDE
from policies.onnx_model import FLOAT, parse, scaling, serialise, without_gemm, without_repeats

WARNINGS = 2
FAILED = (onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf,)


class OnnxRuntime:
    """A graph in onnxruntime; see ``policies.exported.Runtime``."""

    def __init__(self, data: bytes, threads: int = 1) -> None:
        """Read a graph; ``threads`` share the work of an operation."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = WARNINGS + 1
        try:
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except FAILED as error:
            raise UsageError(f"this is no ONNX graph: {error}") from error
        told = self._session.get_modelmeta().custom_metadata_map
        self.header: str = told.get(BESIDE, "{}")

    def run(self, feed: Mapping[str, Array]) -> list[Array]:
        """Return actions and next memory, of inputs by name."""
        found: list[Array] = self._session.run(None, dict(feed))
        return found


def optimised(data: bytes) -> bytes:
    """Return a graph with what does not depend on the machine simplified: it loads sooner."""
    with tempfile.TemporaryDirectory(prefix="armtrials-") as folder:
        path = Path(folder) / "model.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = WARNINGS + 1
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return path.read_bytes()


def in_int8(data: bytes) -> bytes:
    """Return a graph whose weights are int8, and activations quantised as they come."""
    quiet = logging.getLogger()
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # onnxruntime advises on the root logger
    try:
        with tempfile.TemporaryDirectory(prefix="armtrials-") as folder:
            path = Path(folder) / "model.onnx"
            model = without_gemm(parse(data))
            options = {"DefaultTensorType": FLOAT}  # where shapes are not inferred
            quantize_dynamic(model, str(path), weight_type=QuantType.QInt8, extra_options=options)
            return path.read_bytes()
    finally:
        quiet.setLevel(level)


def in_fp16(data: bytes) -> bytes:
    """Return a graph that computes in half precision, but for its scaling of inputs and outputs."""
    model = parse(data)
    half = convert_float_to_float16(model, keep_io_types=True, node_block_list=scaling(model))
    return serialise(without_repeats(half))

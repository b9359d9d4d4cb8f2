"""ONNX files: the only file that imports onnx."""

import onnx

from policies.checkpoint_files import BESIDE

FLOAT: int = onnx.TensorProto.FLOAT


def parse(data: bytes) -> onnx.ModelProto:
    """Read a graph."""
    return onnx.load_model_from_string(data)


def serialise(model: onnx.ModelProto) -> bytes:
    """Write a graph."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def scaling(model: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes that scale observations and actions, outside the network."""
    graph = model.graph
    given = {value.name for value in graph.input}
    first = [node for node in graph.node if given & set(node.input)]
    between = {name for node in first for name in node.output}
    second = [node for node in graph.node if node.op_type == "Div" and between & set(node.input)]
    wanted, last = {graph.output[0].name}, []
    for node in reversed(graph.node):
        if node.op_type in ("Add", "Mul") and wanted & set(node.output):
            last.append(node)
            wanted |= set(node.input)
    return [node.name for node in (*first, *second, *last[:3])]


def without_gemm(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write every Gemm as MatMul and Add: quantisation transposes a shared weight once too often.

    A network that is used several times in a graph (denoising steps, cameras) shares its weights.
    """
    graph = model.graph
    weights = {one.name: one for one in graph.initializer}
    turned: dict[str, onnx.TensorProto] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        told = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        plain = told.get("alpha", 1.0) == told.get("beta", 1.0) == 1.0 and not told.get("transA")
        if node.op_type != "Gemm" or not plain or node.input[1] not in weights:
            nodes.append(node)
            continue
        name = node.input[1]
        if told.get("transB"):
            name = f"{name}_turned"
            array = onnx.numpy_helper.to_array(weights[node.input[1]])
            turned[name] = onnx.numpy_helper.from_array(array.T.copy(), name)
        product = f"{node.output[0]}_product"
        make = onnx.helper.make_node
        nodes.append(make("MatMul", [node.input[0], name], [product], f"{node.name}_MatMul"))
        last = [product, *node.input[2:]]
        kind = "Add" if len(last) == 2 else "Identity"
        nodes.append(make(kind, last, list(node.output), f"{node.name}_{kind}"))
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(turned.values())
    return model


def without_repeats(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop nodes that compute what another has computed: the conversion to fp16 repeats casts."""
    seen: set[str] = set()
    for node in list(model.graph.node):
        if seen & set(node.output):
            model.graph.node.remove(node)
        seen |= set(node.output)
    return model


def with_header(data: bytes, header: str) -> bytes:
    """Return a graph that says beside which files it was saved."""
    model = parse(data)
    onnx.helper.set_model_props(model, {BESIDE: header})
    return serialise(model)

"""PyTorch as a peer of the bench: single operations, and whole models by the reference implementation.

    python torch_peer.py THREADS [REFERENCE]

REFERENCE is the folder of apple/ml-mdm that holds the package "ml_mdm". What is asked and answered is in protocol.ts.
"""

import json
import math
import struct
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

DTYPES = {"F32": np.float32, "F16": np.float16}


def read_tensors(path):
    """Every tensor of a safetensors file in float32, by name."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        start, end = (8 + length + offset for offset in info["data_offsets"])
        array = np.frombuffer(data[start:end], DTYPES[info["dtype"]]).reshape(info["shape"])
        tensors[name] = torch.from_numpy(array.astype(np.float32))
    return tensors


def write_tensors(path, tensors):
    """Writes float32 tensors as a safetensors file."""
    header, parts, offset = {}, [], 0
    for name, tensor in tensors.items():
        part = np.ascontiguousarray(tensor.numpy(), np.float32).tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(part)],
        }
        parts.append(part)
        offset += len(part)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def load_operation(operation, weights, inputs):
    """A function that computes the one operation of a case."""
    attributes = operation["attributes"]
    x = [inputs[name] for name in operation["inputs"]]

    def parameter(entry):
        return None if entry is None else weights[entry["name"]]

    if operation["name"] == "conv2d":
        weight = parameter(attributes["weights"][0])
        bias = parameter(next(iter(attributes["biases"]), None))
        if x[0].ndim != 4:
            return lambda: F.linear(x[0], weight, bias)
        padding = [(size - 1) // 2 for size in attributes["kernel"]]
        return lambda: F.conv2d(x[0], weight, bias, attributes["stride"], padding)
    if operation["name"] == "groupNorm":
        weight, bias = parameter(attributes["weight"]), parameter(attributes["bias"])
        return lambda: F.silu(F.group_norm(x[0], attributes["groups"], weight, bias))
    if operation["name"] == "attention":
        return load_attention(attributes, *x[:2])
    raise ValueError(f'no operation "{operation["name"]}"')


def load_attention(attributes, queries, pairs):
    """Attention as the reference writes it, over pictures or tokens, to one set of keys."""
    heads, width = attributes["heads"], attributes["headWidth"]
    (keys,) = attributes["sets"]

    def part(values, offset):
        """[rows * heads, width, positions]"""
        if values.ndim == 3:
            values = values.transpose(1, 2)
        rows = values.shape[0]
        values = values.flatten(2)[:, offset : offset + heads * width]
        return values.reshape(rows * heads, width, -1)

    def compute():
        q = part(queries, attributes["queryOffset"])
        k = part(pairs, keys["keyOffset"])
        v = part(pairs, keys["valueOffset"])
        scale = 1 / math.sqrt(math.sqrt(width))
        scores = torch.einsum("bct,bcs->bts", q * scale, k * scale)
        result = torch.einsum("bts,bcs->bct", torch.softmax(scores, -1), v)
        rows, _, *area = queries.shape
        return result.reshape(rows, heads * width, *area)

    return compute


def load_model(folder, weights, reference):
    """A function that computes a forward pass of the reference implementation's model."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "oracle"))
    from record import as_list, build_model, for_model, import_reference, levels

    import_reference(reference)
    model = build_model(json.loads((folder / "config.json").read_text()))
    model.load_state_dict(weights)
    inputs = read_tensors(folder / "forward.safetensors")
    pictures = for_model(model, levels(inputs, "x_t."))

    def compute():
        out = model(pictures, inputs["times"], inputs["lm_outputs"], inputs["lm_mask"], {})
        return {f"out.{level}": tensor for level, tensor in enumerate(as_list(out))}

    return compute


def load(folder, reference):
    case = json.loads((folder / "case.json").read_text())
    weights = read_tensors(case["weights"])
    if case["operation"] is None:
        return load_model(folder, weights, reference)
    compute = load_operation(
        case["operation"], weights, read_tensors(folder / "inputs.safetensors")
    )
    name = case["outputs"][0]["name"]
    return lambda: {name: compute()}


def main():
    threads, *rest = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    # Stdout is for answers: what else is printed goes to stderr.
    answers, sys.stdout = sys.stdout, sys.stderr
    compute, results = None, {}

    def answer(request):
        nonlocal compute, results
        if request["command"] == "open":
            compute = load(Path(request["folder"]), rest[0] if rest else None)
            return {"version": torch.__version__}
        if request["command"] == "write":
            write_tensors(request["path"], results)
            return {"written": request["path"]}
        began = time.perf_counter()
        for _ in range(request["times"]):
            results = compute()
        return {"ms": (time.perf_counter() - began) * 1000}

    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:  # Whatever it is, the bench tells it.
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()

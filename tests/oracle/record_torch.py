"""Records checkpoints of tensors with attributes, of classes of their own and of new types, which the
newest torch.save writes in other ways than plain ones, and what is in them. See README.md beside it.

    python record_torch.py --fixtures ../fixtures
"""

import argparse
import pathlib
import warnings
import zipfile

import torch
from safetensors.torch import save_file


class OwnTensor(torch.Tensor):
    """A class of tensors that no reader knows."""


class OwnParameter(torch.nn.Parameter):
    """A class of parameters that no reader knows."""


FLOAT8 = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu")


def readable_tensors():
    """Values are exact in float32."""
    attributed = torch.arange(6).view(2, 3) / 4
    attributed.note = {"by": ["hand", 1, torch.float16]}
    halves = torch.arange(8).bfloat16()
    halves.note = "kept"
    parameter = torch.nn.Parameter(torch.arange(3.0))
    parameter.is_shared = True
    bytes_ = torch.arange(256, dtype=torch.uint8)
    return {
        "attributed": attributed,
        "turned": attributed.t(),
        "halves": halves,
        "slice": halves[2:5],
        "own": torch.arange(4.0).as_subclass(OwnTensor),
        "own_parameter": OwnParameter(torch.arange(5.0)),
        "plain_parameter": torch.nn.Parameter(torch.arange(2.0)),
        "stated_parameter": parameter,
        **{name: bytes_.view(getattr(torch, name)) for name in FLOAT8},
        "float8_turned": bytes_[:60].view(5, 12).t().view(torch.float8_e5m2),
        "float8_parameter": torch.nn.Parameter(bytes_[8:12].view(torch.float8_e4m3fn), False),
        "uint16": torch.tensor([1, 65535], dtype=torch.int32).to(torch.uint16),
        "uint32": torch.tensor([1, 2**31], dtype=torch.int64).to(torch.uint32),
        "uint64": torch.tensor([1, 2**40], dtype=torch.int64).to(torch.uint64),
        "empty": torch.zeros(0),
        "empty_half": torch.zeros(0, dtype=torch.float16),
    }


def unreadable_tensors():
    """One of each kind whose numbers are not simply stored, and a plain one."""
    return {
        "plain": torch.arange(2.0),
        "sparse": torch.eye(3).to_sparse(),
        "rows": torch.eye(3).to_sparse_csr(),
        "quantized": torch.quantize_per_tensor(torch.arange(3.0), 0.1, 0, torch.qint8),
        "channels": torch.quantize_per_channel(
            torch.ones(2, 3), torch.tensor([0.1, 0.2]), torch.tensor([0, 0]), 0, torch.qint8
        ),
        "meta": torch.empty(3, device="meta"),
        "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "jagged": torch.nested.nested_tensor(
            [torch.ones(2, 2), torch.ones(3, 2)], layout=torch.jagged
        ),
        "complex": torch.ones(2, dtype=torch.complex64),
        "conjugated": torch.ones(2, dtype=torch.complex64).conj(),
        "negated": torch.ones(2, dtype=torch.complex64).conj().imag,
        "float4": torch.zeros(4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
        "number": 3,
    }


def deflate(source, target):
    """What remains of a checkpoint that was unpacked and packed again."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(zipfile.ZipInfo(entry.filename), old.read(entry), zipfile.ZIP_DEFLATED)


def main():
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixtures", type=pathlib.Path, required=True)
    folder = parser.parse_args().fixtures / "pth"
    tensors = readable_tensors()
    torch.save(tensors, folder / "attributes.pth")
    torch.save(
        tensors,
        folder / "attributes_legacy.pth",
        pickle_protocol=4,
        _use_new_zipfile_serialization=False,
    )
    deflate(folder / "attributes.pth", folder / "attributes_deflated.pth")
    torch.save(unreadable_tensors(), folder / "unreadable.pth")
    torch.save(
        unreadable_tensors(), folder / "unreadable_legacy.pth", _use_new_zipfile_serialization=False
    )
    plain = {name: tensor.detach().float().contiguous() for name, tensor in tensors.items()}
    save_file({name: torch.Tensor(t).clone() for name, t in plain.items()}, folder / "attributes.safetensors")


if __name__ == "__main__":
    main()

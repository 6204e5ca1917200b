"""Records odd checkpoints with torch.save, and what is in them. See README.md beside it.

    python record_pth.py --fixtures ../fixtures --reference DIR

DIR is the folder of ml-mdm that holds the package "ml_mdm".
"""

import argparse
import dataclasses
import enum
import json
import pathlib
import sys
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import torch
from record import import_reference, write_json
from safetensors.torch import save_file

# The names of the reference's modules when Apple's checkpoints were made.
OLD_MODULES = ("samplers", "diffusion", "models.unet", "models.nested_unet")


def odd_tensors():
    """A state dict of each dtype, layout and way of sharing; values are exact in float32."""
    base = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32) - 50
    block = base.view(2, 3, 4, 5)
    shared = torch.arange(24).half() / 8
    halves = torch.randn(4, 6).bfloat16()
    state = OrderedDict(
        contiguous=block.clone(),
        transposed=block.transpose(1, 3),
        channels_last=block.clone().to(memory_format=torch.channels_last),
        sliced=block[1, ::2, 1:3, ::3],
        row=block[1, 2, 3],
        element=block[1, 2, 3, 4],
        scalar=torch.tensor(-0.1),
        expanded=torch.tensor([1.5, -2.5, 3.5]).view(1, 3, 1).expand(4, 3, 2),
        repeated=torch.tensor(7, dtype=torch.int32).expand(3, 2),
        empty=torch.zeros(0),
        empty_side=torch.zeros(3, 0, 2),
        first_half=shared[:12].view(3, 4),
        second_half=shared[12:].view(4, 3).t(),
        whole=shared,
        same=shared,
        parameter=torch.nn.Parameter(torch.randn(5)),
        frozen=torch.nn.Parameter(torch.randn(2, 2), requires_grad=False),
        bf16=halves,
        bf16_columns=halves[:, 1:4],
        f16=torch.tensor([2**-24, 65504.0, float("-inf")], dtype=torch.float16),
        f64=torch.tensor([0.1, 1e300, -2.0], dtype=torch.float64),
        u8=torch.tensor([0, 1, 255], dtype=torch.uint8),
        i8=torch.tensor([-128, 1, 127], dtype=torch.int8),
        i16=torch.tensor([-32768, 1, 32767], dtype=torch.int16),
        i32=torch.tensor([-(2**31), 1, 7], dtype=torch.int32),
        i64=torch.tensor([-5, 1, 2**40], dtype=torch.int64),
        bool=torch.tensor([False, True, True]),
    )
    state["a dot. a \N{SNOWMAN} and __proto__"] = torch.ones(1)
    state["__proto__"] = torch.tensor([2.0])
    return state


class Unheard:
    """A class that no reader knows, with state that refers to itself."""

    def __init__(self, tensor):
        self.tensor, self.me, self.numbers = tensor, self, [1, (2, {3, 4}), b"five", 2**70]


def other_items(args):
    """What the reference's training saves beside the weights, and some more kinds of values."""
    return {
        "batch_num": 1234,
        "loss": np.float64(0.25),
        "best_avg_loss": np.float32(0.5),
        "counts": np.arange(3),
        "args": args,
        "optimizer": {"state": {0: {"step": 7, "exp_avg": torch.ones(2, 3)}}, "lr": [1e-4]},
        "unheard": Unheard(torch.zeros(2)),
        "complex": torch.ones(2, dtype=torch.complex64),
        "default": defaultdict(list, {"a": [1]}),
        "device": torch.device("cpu"),
        "size": torch.Size([1, 2]),
        "path": pathlib.PurePosixPath("/a/b"),
    }


@dataclasses.dataclass
class ReaderConfig:
    """Stands in for the reference's, whose module needs a library for data loading."""

    image_size: int
    max_token_length: int


def old_names():
    """Puts the reference's configuration classes under the module names they once had."""
    for old in OLD_MODULES:
        module = sys.modules[f"ml_mdm.{old}"]
        sys.modules[old] = module
        for value in vars(module).values():
            is_data = dataclasses.is_dataclass(value) or (
                isinstance(value, type) and issubclass(value, enum.Enum)
            )
            if is_data and value.__module__ == f"ml_mdm.{old}":
                value.__module__ = old
    sys.modules["models"] = sys.modules["ml_mdm.models"]
    sys.modules["language_models"] = sys.modules["ml_mdm"]
    for own, old in ((Unheard, "language_models.factory"), (ReaderConfig, "reader")):
        own.__module__ = old
        sys.modules[old] = sys.modules[__name__]


def nested_args():
    from ml_mdm import diffusion, samplers
    from ml_mdm.models import nested_unet, unet

    inner = unet.UNetConfig(
        resolution_channels="32,64", attention_levels="1", micro_conditioning="scale:16",
        conditioning_feature_dim=8, conditioning_feature_proj_dim=8, nesting=True,
        resnet_config=unet.ResNetConfig(use_attention_ffn=True),
    )
    sampler = samplers.SamplerConfig(
        num_diffusion_steps=1000,
        schedule_type=samplers.ScheduleType.DEEPFLOYD,
        prediction_type=samplers.PredictionType.V_PREDICTION,
        loss_target_type=samplers.PredictionType.DDPM,
        threshold_function=samplers.ThresholdType.DYNAMIC_IF,
        schedule_shifted=True,
    )
    return argparse.Namespace(
        model="nested_unet",
        lr=5e-5,
        output_dir="/somewhere",
        unet_config=nested_unet.NestedUNetConfig(
            resolution_channels="32", attention_levels="", inner_config=inner
        ),
        diffusion_config=diffusion.NestedDiffusionConfig(
            sampler_config=sampler, use_vdm_loss_weights=False, no_use_residual=True
        ),
        reader_config=ReaderConfig(image_size=32, max_token_length=128),
    )


def plain(value):
    """A configuration as JSON has it."""
    if dataclasses.is_dataclass(value):
        return {k: plain(v) for k, v in vars(value).items()}
    return value.name if isinstance(value, enum.Enum) else value


def expected_configuration(args, text_width):
    fields = ("model", "unet_config", "diffusion_config", "reader_config")
    return {
        **{name: plain(getattr(args, name)) for name in fields},
        "conditioning_feature_dim": text_width,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fixtures", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True)
    options = parser.parse_args()
    folder = options.fixtures / "pth"
    folder.mkdir(parents=True, exist_ok=True)
    import_reference(options.reference)
    args = nested_args()
    old_names()

    torch.manual_seed(0)
    state = odd_tensors()
    torch.save(state, folder / "odd.pth")
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    values = {n: t.detach().float().clone().contiguous() for n, t in state.items()}
    save_file(values, folder / "odd.safetensors")

    text = torch.arange(24, dtype=torch.float32).view(4, 6)
    weights = OrderedDict([("inner_unet.lm_proj.weight", text), ("bias", torch.ones(4))])
    for protocol in (2, 3, 4, 5):
        checkpoint = {"state_dict": weights, **other_items(args)}
        torch.save(checkpoint, folder / f"args_protocol{protocol}.pth", pickle_protocol=protocol)
    write_json(folder / "args.json", expected_configuration(args, text.shape[1]))
    torch.save(torch.nn.Linear(2, 2), folder / "module.pth")


if __name__ == "__main__":
    main()

"""Records the fixtures that need PyTorch, transformers or tokenizers. See README.md beside it.

    python record.py t5        --fixtures ../fixtures
    python record.py tokenizer --fixtures ../fixtures --tokenizer FILE
    python record.py reference --fixtures ../fixtures --reference DIR
    python record.py check     --reference DIR CASE...

DIR is the folder of ml-mdm that holds the package "ml_mdm"; CASE is a folder in the golden layout.
"""

import argparse
import contextlib
import copy
import dataclasses
import json
import math
import sys
from pathlib import Path
from unittest import mock

import numpy as np

WIDE, BIAS = 1.0, 0.2  # spread of weights (over the root of their fan-in) and of biases


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_tensors(path, tensors, dtype=np.float32, metadata=None):
    from safetensors.numpy import save

    arrays = {
        name: np.ascontiguousarray(t.detach().numpy().astype(dtype)) for name, t in tensors.items()
    }
    path.write_bytes(save(arrays, metadata))


def read_tensors(path):
    import torch
    from safetensors.numpy import load_file

    return {name: torch.from_numpy(a.astype(np.float32)) for name, a in load_file(path).items()}


def randomise(model, spread=lambda name: WIDE):
    """Gives every parameter its own random value that float16 holds exactly."""
    import torch

    owners = dict(model.named_modules())
    with torch.no_grad():
        for name, p in model.named_parameters():
            owner = type(owners[name.rpartition(".")[0]]).__name__
            if p.ndim == 1 and name.endswith("weight"):
                assert "Norm" in owner, name
                p.uniform_(0.7, 1.3)
            elif name.endswith("pos_emb.freqs"):
                p.normal_(0, 1)
            elif p.ndim == 1:
                p.normal_(0, BIAS)
            elif owner == "Embedding":
                p.normal_(0, 1)
            else:
                p.normal_(0, spread(name) / math.sqrt(p[0].numel()))
            p.copy_(p.half().float())


# --- T5 -------------------------------------------------------------------------------------------


def t5_model(seed, **fields):
    import torch
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(seed)
    config = T5Config(
        relative_attention_num_buckets=32,
        relative_attention_max_distance=128,
        dropout_rate=0.0,
        **fields,
    )
    model = T5EncoderModel(config).eval()
    # T5 does not divide scores by sqrt(d_kv), so queries and keys carry that factor.
    quiet = config.d_kv**-0.25
    randomise(model, lambda name: quiet if name.endswith((".q.weight", ".k.weight")) else WIDE)
    return model


def t5_record(folder, model, batches):
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    cases, expected = [], {}
    for lengths, width in batches:
        name = "padded" if len(lengths) > 1 else f"length{width}"
        ids = torch.randint(2, model.config.vocab_size, (len(lengths), width))
        mask = (torch.arange(width) < torch.tensor(lengths).unsqueeze(1)).long()
        ids = ids * mask  # 0 is the padding token
        with torch.no_grad():
            expected[name] = model(input_ids=ids, attention_mask=mask).last_hidden_state
        cases.append(
            {
                "name": name,
                "lengths": lengths,
                "input_ids": ids.tolist(),
                "attention_mask": mask.tolist(),
            }
        )
    weights = {n: p for n, p in model.named_parameters() if n != "encoder.embed_tokens.weight"}
    write_tensors(folder / "model.safetensors", weights, np.float16, {"format": "pt"})
    write_json(
        folder / "config.json", {**model.config.to_diff_dict(), "architectures": ["T5EncoderModel"]}
    )
    write_json(folder / "cases.json", cases)
    write_tensors(folder / "expected.safetensors", expected)


def t5_check(folder):
    """Recomputes a folder from its files alone; prints its error and how sharp attention is."""
    import torch
    from transformers import T5Config, T5EncoderModel

    model = T5EncoderModel(T5Config.from_pretrained(folder)).eval()
    missing = model.load_state_dict(read_tensors(folder / "model.safetensors"), strict=False)
    assert (
        missing.missing_keys == ["encoder.embed_tokens.weight"] and not missing.unexpected_keys
    ), missing
    expected = read_tensors(folder / "expected.safetensors")
    for case in json.loads((folder / "cases.json").read_text()):
        with torch.no_grad():
            out = model(
                input_ids=torch.tensor(case["input_ids"]),
                attention_mask=torch.tensor(case["attention_mask"]),
                output_attentions=True,
            )
        sharp = [round(a.amax(-1).mean().item(), 2) for a in out.attentions]
        report(
            f"{folder.name} {case['name']} (mean top attention {sharp})",
            out.last_hidden_state,
            expected[case["name"]],
        )


def record_t5(args):
    gated = dict(
        vocab_size=50,
        d_model=40,
        num_heads=3,
        d_kv=12,
        d_ff=56,
        num_layers=3,
        feed_forward_proj="gated-gelu",
    )
    relu = dict(
        vocab_size=30,
        d_model=24,
        num_heads=2,
        d_kv=8,
        d_ff=40,
        num_layers=2,
        feed_forward_proj="relu",
    )
    single = [
        ([n], n) for n in (1, 2, 7, 33, 64, 140)
    ]  # from 128 on, distances share the last bucket
    t5_record(args.fixtures / "t5", t5_model(11, **gated), [*single, ([1, 5, 12, 64], 64)])
    t5_record(args.fixtures / "t5_relu", t5_model(12, **relu), [([3, 9, 20], 20)])
    t5_check(args.fixtures / "t5")
    t5_check(args.fixtures / "t5_relu")


# --- Tokenizer ------------------------------------------------------------------------------------

PROMPTS = [
    "a red circle on a white background",
    "a small blue star in the top left on a yellow background",
    "a large green triangle below an orange ring",
    "two tiny dots beside one big cross",
    "a purple square next to a pink ring, under the middle.",
    "it's 12 o'clock - is it? yes!",
    "A RED Circle On A WHITE Background",
    "ÜBER straße ÉCOLE İstanbul ΣΊΣΥΦΟΣ",
    "a  red   circle",
    "  a red circle",
    "a red circle  ",
    " \t a red circle \n",
    "a red\tcircle\non a white\r\nbackground",
    "a\u00a0red\u3000circle",
    "a red\u200bcircle\u00ad on\ufeff a",
    "zebra",
    "quixotic jazz",
    "0123456789",
    "3.14,2-7",
    "....!!!???",
    "a@b#c$d%e^f&g*h(i)",
    "under_score ▁ metaspace",
    "▁a▁red▁circle",
    "a red 🔴 circle",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "一个红色的圆圈",
    "красный круг",
    "أحمر دائرة",
    "ａ ｒｅｄ ｃｉｒｃｌｅ １２３",
    "ﬁve ﬂags oﬃce ﬀ",
    "½ ² ™ … ① Ⅳ ㎏",
    "cafe\u0301 caf\u00e9 re\u0301d",
    "\u1100\u1161\u11a8 \uac01",
    "",
    " ",
    "     ",
    "\t\n",
    "a red </s> circle",
    "<pad><pad> a star </s>",
    "</s>",
    "x</s>y <unk> z",
    "< /s> <PAD> <extra_id_0>",
    "rere redred abackground onwhite",
    "the " * 60 + "red circle",
    "supercalifragilisticexpialidocious" * 8,
    "nul\u0000byte and control\u0007",
]


def record_tokenizer(args):
    from tokenizers import Tokenizer, __version__

    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    rows = [{"text": text, "ids": tokenizer.encode(text).ids} for text in PROMPTS]
    folder = args.fixtures / "tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(" " + json.dumps(row, ensure_ascii=True) for row in rows)
    (folder / "shapes32.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(rows)} prompts with tokenizers {__version__}")


# --- The reference --------------------------------------------------------------------------------

# What the reference imports on the way to its models and samplers without using it there.
UNUSED = """torchinfo torchvision torchvision.utils simple_parsing simple_parsing.wrappers
simple_parsing.wrappers.field_wrapper boto3 boto3.session boto3.s3 boto3.s3.transfer ml_mdm.reader
ml_mdm.utils.fix_old_checkpoints"""


def import_reference(folder):
    for name in UNUSED.split():
        sys.modules.setdefault(name, mock.MagicMock())
    sys.path.insert(0, str(folder))


def build_model(config):
    """The reference's model from the contents of a config.json."""
    from ml_mdm.models import nested_unet, unet

    def fields(cls, values):
        values = copy.deepcopy(values)
        values["resnet_config"] = unet.ResNetConfig(**values["resnet_config"])
        if "inner_config" in values:
            inner = values["inner_config"]
            inner_cls = nested_unet.NestedUNetConfig if "inner_config" in inner else unet.UNetConfig
            values["inner_config"] = fields(inner_cls, inner)
        return cls(**values)

    nested = config["model"] != "unet"
    values = {
        **config["unet_config"],
        "conditioning_feature_dim": config["conditioning_feature_dim"],
    }
    unet_config = fields(nested_unet.NestedUNetConfig if nested else unet.UNetConfig, values)
    build = nested_unet.NestedUNet if nested else unet.UNet
    return build(config["input_channels"], config["output_channels"], unet_config).eval()


def complete_config(config, model):
    """config with every field of the reference's dataclasses, as the built model left them."""
    unet_config = dataclasses.asdict(model.config)
    unet_config["conditioning_feature_dim"] = config["conditioning_feature_dim"]
    ratio = getattr(model, "nest_ratio", None)
    return {
        **config,
        "unet_config": unet_config,
        "nest_ratio": ratio,
        "is_temporal": model.is_temporal,
    }


def build_pipeline(model, run):
    """The reference's denoising model and sampler from the contents of a sample_*.json."""
    from ml_mdm import diffusion, samplers

    settings = dict(run["sampler_config"])
    enums = {
        "schedule_type": samplers.ScheduleType,
        "prediction_type": samplers.PredictionType,
        "threshold_function": samplers.ThresholdType,
    }
    for field, enum in enums.items():
        settings[field] = enum[settings[field]]
    common = dict(
        sampler_config=samplers.SamplerConfig(**settings),
        model_output_scale=run.get("model_output_scale", 0),
    )
    if hasattr(model, "inner_unet"):
        pipeline = diffusion.NestedDiffusion(
            model, diffusion.NestedDiffusionConfig(no_use_residual=True, **common)
        )
    else:
        pipeline = diffusion.Diffusion(model, diffusion.DiffusionConfig(**common))
    return pipeline.model.eval(), pipeline.sampler


def levels(tensors, prefix):
    """[prefix0, prefix1, ...] of a file, outermost level first."""
    found = []
    while f"{prefix}{len(found)}" in tensors:
        found.append(tensors[f"{prefix}{len(found)}"])
    return found


def as_list(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def for_model(model, tensors):
    """The reference takes a list only where it is nested."""
    return tensors if hasattr(model, "inner_unet") else tensors[0]


@contextlib.contextmanager
def recorded_outputs(model, names):
    """Collects what the named modules return while the block runs."""
    outputs, handles, modules = {}, [], dict(model.named_modules())
    for name in names:

        def keep(module, inputs, output, name=name):
            outputs[name] = as_list(output)[0].clone()

        handles.append(modules[name].register_forward_hook(keep))
    yield outputs
    for handle in handles:
        handle.remove()


def run_forward(model, inputs, act_names):
    """out.* and act.* for the inputs of a forward.safetensors."""
    import torch

    micros = {k[len("micros.") :]: v for k, v in inputs.items() if k.startswith("micros.")}
    with torch.no_grad(), recorded_outputs(model, act_names) as acts:
        out = model(
            for_model(model, levels(inputs, "x_t.")),
            inputs["times"],
            inputs.get("lm_outputs"),
            inputs.get("lm_mask"),
            micros,
        )
    named = {f"out.{i}": o for i, o in enumerate(as_list(out))}
    return {**named, **{f"act.{name}": value for name, value in acts.items()}}


def run_sample(model, run, tensors):
    """(results, timesteps) of a run on the noise in `tensors`; absent noise is drawn and returned."""
    import torch

    denoiser, sampler = build_pipeline(model, run)
    config = sampler._config
    count = run["steps"] if run["resample_steps"] else config.num_diffusion_steps
    timesteps = torch.from_numpy(sampler.set_timesteps(count))
    x_t = for_model(model, levels(tensors, "noise.initial."))
    results = {}
    for step in range(count):
        draws = []

        def draw(like):
            name = f"noise.step{step}.{len(draws)}"
            draws.append(tensors[name] if name in tensors else torch.empty_like(like).normal_())
            results[name] = draws[-1]
            return draws[-1]

        with torch.no_grad(), mock.patch.object(torch, "randn_like", draw):
            x0, x_t, extra = sampler.get_xt_minus_1(
                denoiser,
                timesteps[step],
                x_t,
                tensors["lm_outputs"],
                tensors.get("lm_mask"),
                {},
                time_step_last=timesteps[step + 1] if run["resample_steps"] else None,
                guidance_scale=run["guidance_scale"],
                ddim_eta=run["ddim_eta"],
                return_details=True,
            )
        for i, (clean, noisy) in enumerate(zip(as_list(x0), as_list(x_t))):
            if i > 0 or step in (0, count - 1):
                results[f"step{step}.x0.{i}"], results[f"step{step}.x_t.{i}"] = clean, noisy
    results["image"] = sampler._postprocess(x_t, x0, extra, clip=True)
    return results, timesteps.tolist()


def text_inputs(lengths, width):
    import torch

    mask = (torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)).float()
    return {"lm_outputs": torch.randn(*mask.shape, width) * mask.unsqueeze(-1), "lm_mask": mask}


def record_case(
    folder, seed, config, sizes, lengths, micros, act_names, run_name, run, run_lengths
):
    """One case in the golden layout: configuration, weights, a forward pass and a sampling run."""
    import torch

    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    model = build_model(config)
    randomise(model)
    write_json(folder / "config.json", complete_config(config, model))
    write_tensors(folder / "weights.safetensors", model.state_dict(), np.float16)

    width = config["conditioning_feature_dim"]
    inputs = {f"x_t.{i}": torch.randn(len(lengths), 3, size, size) for i, size in enumerate(sizes)}
    inputs["times"] = torch.tensor([713.0, 42.0])
    inputs.update(text_inputs(lengths, width))
    inputs.update({f"micros.{name}": torch.tensor(values) for name, values in micros.items()})
    write_tensors(
        folder / "forward.safetensors", {**inputs, **run_forward(model, inputs, act_names)}
    )

    rows = len(run_lengths) // 2 if run["guidance_scale"] != 1 else len(run_lengths)
    tensors = {
        f"noise.initial.{i}": torch.randn(rows, 3, size, size) for i, size in enumerate(sizes)
    }
    tensors.update(text_inputs(run_lengths, width))
    results, timesteps = run_sample(model, run, tensors)
    write_json(folder / f"{run_name}.json", {**run, "timesteps": timesteps})
    write_tensors(folder / f"{run_name}.safetensors", {**tensors, **results})


def unet_options(fixtures):
    config = {
        "model": "unet",
        "conditioning_feature_dim": 24,
        "input_channels": 3,
        "output_channels": 3,
        "unet_config": {
            "num_resnets_per_resolution": [1, 1],
            "temporal_dim": 32,
            "attention_levels": [1],
            "num_attention_layers": [0, 1],
            "conditioning_feature_proj_dim": 48,
            "num_lm_head_layers": 1,
            "masked_cross_attention": 0,
            "resolution_channels": [32, 32],
            "micro_conditioning": "scale:16,watermark_score:0.5",
            "resnet_config": {"num_groups_norm": 16, "use_attention_ffn": False},
        },
    }
    run = {
        "steps": 4,
        "ddim_eta": 0.0,
        "guidance_scale": 2.0,
        "model_output_scale": 2.0,
        "sampler_config": {
            "num_diffusion_steps": 100,  # with more, an untrained noise prediction explodes
            "schedule_type": "DDPM",
            "prediction_type": "DDPM",
            "threshold_function": "NONE",
            "schedule_shifted": False,
            "schedule_shifted_power": 1,
            "rescale_signal": None,
        },
        "resample_steps": True,
    }
    acts = "lm_proj lm_head.0 cond_emb temb_layer2 down_blocks.1 mid_blocks.0"
    record_case(
        fixtures / "reference" / "unet_options",
        21,
        config,
        [16],
        [7, 4],
        # One scale above the default, which the reference cuts, and one below.
        {"scale": [20.0, 6.0], "watermark_score": [0.25, 0.9]},
        acts.split(),
        "sample_eps_scaled",
        run,
        [2, 5, 7, 3],
    )


def nested_outer_attention(fixtures):
    attention = {
        "num_resnets_per_resolution": [1, 1],
        "temporal_dim": 32,
        "attention_levels": [1],
        "num_attention_layers": [0, 1],
        "conditioning_feature_dim": 48,
        "conditioning_feature_proj_dim": 48,
        "num_lm_head_layers": 1,
        "masked_cross_attention": 1,
        "resolution_channels": [32, 32],
    }

    def resnets(groups):
        # A group of one channel would hide every bias in front of its norm.
        return {"num_groups_norm": groups, "use_attention_ffn": True}

    config = {
        "model": "nested_unet",
        "conditioning_feature_dim": 48,
        "input_channels": 3,
        "output_channels": 3,
        "unet_config": {
            **attention,
            "skip_mid_blocks": True,
            "skip_cond_emb": False,
            "skip_normalization": False,
            "interp_conditioning": True,
            "micro_conditioning": "scale:24",
            "resnet_config": resnets(16),
            "inner_config": {
                **attention,
                "nesting": True,
                "micro_conditioning": "scale:12",
                "resnet_config": resnets(8),
            },
        },
    }
    run = {
        "steps": 3,
        "ddim_eta": 0.7,
        "guidance_scale": 1.5,
        "sampler_config": {
            "num_diffusion_steps": 1000,
            "schedule_type": "COSINE",
            "prediction_type": "V_PREDICTION",
            "threshold_function": "DYNAMIC",
            "schedule_shifted": True,
            "schedule_shifted_power": 1.5,
            "rescale_signal": 1,
        },
        "resample_steps": True,
    }
    acts = """inner_unet.lm_head.0 inner_unet.cond_emb temb_layer2 down_blocks.0 down_blocks.1
    inner_unet.mid_blocks.0"""
    record_case(
        fixtures / "reference" / "nested_outer_attention",
        22,
        config,
        [24, 12],
        [6, 3],
        {},
        acts.split(),
        "sample_cosine_dynamic",
        run,
        [1, 5],
    )


def image_unet(**fields):
    """The innermost UNet of the video cases: it alone reads the text, and its pictures are single frames."""
    return {
        "num_resnets_per_resolution": [1, 1],
        "temporal_dim": 32,
        "attention_levels": [1],
        "num_attention_layers": [0, 1],
        "conditioning_feature_dim": 24,
        "conditioning_feature_proj_dim": 32,
        "num_lm_head_layers": 1,
        "masked_cross_attention": 1,
        "resolution_channels": [16, 32],
        "nesting": True,
        "resnet_config": {"num_groups_norm": 8, "use_attention_ffn": True},
        **fields,
    }


def video_unet(channels, inner, **fields):
    """A UNet of frames, around others."""
    return {
        "num_resnets_per_resolution": [1] * len(channels),
        "temporal_dim": 32,
        "attention_levels": [],
        "num_attention_layers": [0] * len(channels),
        "masked_cross_attention": 1,
        "resolution_channels": channels,
        "skip_mid_blocks": True,
        "skip_cond_emb": True,
        "temporal_mode": True,
        "resnet_config": {"num_groups_norm": 8, "use_attention_ffn": False},
        "inner_config": inner,
        **fields,
    }


def video_config(unet_config):
    return {
        "model": "nested_unet",
        "conditioning_feature_dim": 24,
        "input_channels": 3,
        "output_channels": 3,
        "unet_config": unet_config,
    }


def video_time(fixtures):
    """Four frames become one, with attention over time that knows their order."""
    config = video_config(
        video_unet(
            [32, 32, 16],
            image_unet(micro_conditioning="scale:12"),
            num_temporal_attention_layers=[1, 1, 0],
            temporal_positional_encoding=True,
            skip_normalization=True,
        )
    )
    run = {
        "steps": 3,
        "ddim_eta": 0.7,
        "guidance_scale": 2.0,
        "sampler_config": {
            "num_diffusion_steps": 1000,
            "schedule_type": "DEEPFLOYD",
            "prediction_type": "V_PREDICTION",
            "threshold_function": "CLIP",
            "schedule_shifted": True,
            "schedule_shifted_power": 1,
            "rescale_signal": 1,
        },
        "resample_steps": True,
    }
    acts = "down_blocks.0 down_blocks.1 in_adapter inner_unet.mid_blocks.0 up_blocks.0"
    record_case(
        fixtures / "reference" / "video_time",
        23,
        config,
        [20, 10],
        [5, 3],
        {},
        acts.split(),
        "sample_ddim_cfg",
        run,
        [2, 5, 6, 1],
    )


def video_space(fixtures):
    """The size of four frames is halved, then their number; each frame is divided by its own deviation."""
    temporal = video_unet(
        [16, 32, 16],
        image_unet(),
        num_temporal_attention_layers=[0, 1, 0],
        nesting=True,
        skip_normalization=False,
    )
    spatial = video_unet([16, 16], temporal, temporal_spatial_ds=True, skip_normalization=False)
    run = {
        "steps": 3,
        "ddim_eta": None,
        "guidance_scale": 1.0,
        "sampler_config": {
            "num_diffusion_steps": 1000,
            "schedule_type": "COSINE",
            "prediction_type": "V_PREDICTION",
            "threshold_function": "DYNAMIC",
            "schedule_shifted": True,
            "schedule_shifted_power": 1,
            "rescale_signal": 1,
        },
        "resample_steps": True,
    }
    acts = "down_blocks.0 in_adapter inner_unet.down_blocks.0 inner_unet.out_adapter out_adapter"
    record_case(
        fixtures / "reference" / "video_space",
        24,
        video_config(spatial),
        [24, 12, 6],
        [4, 6],
        {},
        acts.split(),
        "sample_ddpm_dynamic",
        run,
        [3, 5],
    )


def report(label, got, expected):
    error = ((got - expected).norm() / expected.norm()).item()
    spread = (
        f"std {expected.std(unbiased=False).item():.3g}, largest {expected.abs().max().item():.3g}"
    )
    print(f"{label}: relative L2 {error:.2g}; expected has {spread}")


def record_reference(args):
    import_reference(args.reference)
    unet_options(args.fixtures)
    nested_outer_attention(args.fixtures)
    video_time(args.fixtures)
    video_space(args.fixtures)


def check(args):
    """Recomputes cases (also the golden data) from their files: errors are zero or rounding."""
    import_reference(args.reference)
    for folder in args.cases:
        model = build_model(json.loads((folder / "config.json").read_text()))
        model.load_state_dict(read_tensors(folder / "weights.safetensors"))
        forward = (
            read_tensors(folder / "forward.safetensors")
            if (folder / "forward.safetensors").exists()
            else {}
        )
        acts = [name[len("act.") :] for name in forward if name.startswith("act.")]
        for name, value in (run_forward(model, forward, acts) if forward else {}).items():
            report(f"{folder.name} {name}", value, forward[name])
        for path in sorted(folder.glob("sample_*.json")):
            run, tensors = json.loads(path.read_text()), read_tensors(
                path.with_suffix(".safetensors")
            )
            results, timesteps = run_sample(model, run, tensors)
            assert timesteps == run["timesteps"]
            new = [name for name in results if name not in tensors]
            assert not new, f"{path.name} lacks {new}"
            for name in ("step0.x0.0", "step0.x_t.0", "image"):
                report(f"{folder.name} {path.stem} {name}", results[name], tensors[name])
            clipped = (tensors["image"].abs() == 1).float().mean().item()
            print(f"{folder.name} {path.stem}: {clipped:.0%} of the image at the limits")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for name, run in (
        ("t5", record_t5),
        ("tokenizer", record_tokenizer),
        ("reference", record_reference),
        ("check", check),
    ):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        if name != "check":
            command.add_argument("--fixtures", type=Path, required=True)
        if name in ("reference", "check"):
            command.add_argument("--reference", type=Path, required=True)
        if name == "tokenizer":
            command.add_argument("--tokenizer", type=Path, required=True)
        if name == "check":
            command.add_argument("cases", type=Path, nargs="+", metavar="CASE")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()

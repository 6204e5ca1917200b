"""Trains small models of sentencepiece and records the ids that it gives for texts, and those of
Hugging Face's tokenizers with the same rules. See README.md beside it.

    python record_sentencepiece.py --fixtures ../fixtures
"""

import argparse
import json
import pathlib
import random
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = (
    "a the red green blue circle ring star on white background small large Big IN top left "
    "caf\u00e9 r\u00e9sum\u00e9 \ufb01ne \u2460 \uff12 \u65e5\u672c \u30ab\u30ac \u041f\u0440\u0438 don't 12.5"
).split()

# What a text becomes, both in hexadecimal: case, compositions, deletions, spaces, expansions.
RULES = [
    *((chr(c), chr(c + 32)) for c in range(ord("A"), ord("Z") + 1)),
    ("E\u0301", "\u00e9"),
    ("e\u0301", "\u00e9"),
    ("K\u0327", "\u0137"),
    ("\uff76\uff9e", "\u30ac"),
    ("\uff76", "\u30ab"),
    ("\ufb01", "fi"),
    ("\u2460", "1"),
    ("\u00bd", "1\u20442"),
    ("\u200d", ""),
    ("\ufeff", ""),
    ("\t", " "),
    ("\n", " "),
    ("\u3000", " "),
    ("\r\n", " "),
    ("...", "\u2026"),
    ("...!", "\u2026!"),
    ("\U0001f534", "red"),
]

SETTINGS = {
    "rules": {},
    "symbols": {"user_defined_symbols": "<sep>,IN,xyz,IN top"},
    "bytes": {"byte_fallback": True, "vocab_size": 400},
    "spaces": {
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": False,
        "split_by_whitespace": False,
    },
    "suffix": {"treat_whitespace_as_suffix": True},
}


def hexadecimal(text):
    return " ".join(f"{ord(character):X}" for character in text)


def train(name, settings, folder, corpus):
    rules = folder / "rules.tsv"
    rules.write_text("".join(f"{hexadecimal(old)}\t{hexadecimal(new)}\n" for old, new in RULES))
    text = folder / "corpus.txt"
    text.write_text("\n".join(corpus))
    sentencepiece.SentencePieceTrainer.train(
        **{
            "input": str(text),
            "model_prefix": str(folder / name),
            "vocab_size": 120,
            "model_type": "unigram",
            "pad_id": 0,
            "eos_id": 1,
            "unk_id": 2,
            "bos_id": -1,
            "character_coverage": 0.99,
            "hard_vocab_limit": False,
            "normalization_rule_tsv": str(rules),
            "minloglevel": 2,
            **settings,
        }
    )
    model = sentencepiece_model_pb2.ModelProto.FromString((folder / f"{name}.model").read_bytes())
    # Paths of this machine.
    model.trainer_spec.ClearField("input")
    model.trainer_spec.ClearField("model_prefix")
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    return model.SerializeToString()


def texts():
    random.seed(3)
    marks = ["E\u0301", "e\u0301", "K\u0327\u0301", "E\u0327", "\uff76\uff9e", "\uff76", "\u200d", "\ufeff",
             "\t", "\r\n", "\u3000", " ", "  ", "\u0085", "...", "...!", "..", "\U0001f534", "\u00bd",
             "\u2581", "<sep>", "xyz", "IN top", "</s", "\u0000", "\u1f1e", "z"]
    yield from ("", " ", "  \t ", "A RED circle", "\u2581a \u2581 b", "x" * 60, "\u200d", "a\u200d")
    for _ in range(150):
        parts = [random.choice(WORDS if random.random() < 0.5 else marks) for _ in range(7)]
        yield random.choice(["", " "]).join(parts)


def tokenizer_of(model):
    """As transformers makes one of T5's model."""
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    tokenizer = Tokenizer(
        models.Unigram(pieces, unk_id=2, byte_fallback=model.trainer_spec.byte_fallback)
    )
    tokenizer.normalizer = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", 1)]
    )
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    return tokenizer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixtures", type=pathlib.Path, required=True)
    target = parser.parse_args().fixtures / "sentencepiece"
    target.mkdir(exist_ok=True)
    random.seed(2)
    corpus = [
        " ".join(random.choice(WORDS) for _ in range(random.randrange(2, 12))) for _ in range(2000)
    ]
    all_texts = list(texts())
    recorded = {"texts": all_texts, "sentencepiece": {}, "tokenizers": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in SETTINGS.items():
            data = train(name, settings, pathlib.Path(folder), corpus)
            (target / f"{name}.model").write_bytes(data)
            processor = sentencepiece.SentencePieceProcessor(model_proto=data)
            recorded["sentencepiece"][name] = [processor.encode(text) for text in all_texts]
            if name not in ("rules", "bytes"):
                continue
            model = sentencepiece_model_pb2.ModelProto.FromString(data)
            tokenizer = tokenizer_of(model)
            (target / f"{name}.json").write_text(json.dumps(json.loads(tokenizer.to_str()), separators=(",", ":")))
            recorded["tokenizers"][name] = [tokenizer.encode(text).ids for text in all_texts]
        data = train("bpe", {"model_type": "bpe"}, pathlib.Path(folder), corpus)
        (target / "bpe.model").write_bytes(data)
    (target / "ids.json").write_text(json.dumps(recorded, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

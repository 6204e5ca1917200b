"""Records tests/fixtures/tokenizer/mdm.json: what two tokenizers make of texts with one vocabulary.

    python record_mdm_tokenizer.py --fixtures ../fixtures [--vocab T5_VOCAB]

"mdm" is what mlx-data 0.1.0 gives, called as ml-mdm calls it for a prompt (512 characters, 128
tokens, a space before, "</s>" after); "sentencepiece" is what tokenizers 0.23.3 gives. With
--vocab, tokenizes random texts with that vocabulary (data/t5.vocab of ml-mdm) into standard output
instead: for a check by hand, since that file is not ours to copy.
"""

import argparse
import json
import random
import sys
from pathlib import Path

import mlx.data.core
from mlx.data.core import CharTrie

MARKS = ["<pad>", "</s>", "<unk>"]

# Scores are such that cheaper ways and ways of the same cost both occur.
WORDS = {
    "▁": -2, "▁a": -3, "▁red": -4, "▁Red": -5, "▁ring": -5, "▁the": -4, "▁re": -6, "▁star": -6,
    "red": -6, "ring": -6, "star": -7, "st": -5, "ing": -5, "ed": -5, "R": -6, "RED": -9,
    "aa": -5, "aaa": -7.5, "..": -5, "...": -7, "!!": -4, "é": -8, "café": -9, "日本": -9,
    "dzq": -9, "/": -7, "<": -8, ">": -8, "</": -9, "fi": -6, "½": -9, "1": -6, "2": -6,
}
WORDS.update({c: -7 for c in "abcdeghilmnoprstuwxy.,!'-"})
WORDS["k"] = -7.123456  # rounded to -7.12346 in a .vocab file
WORDS["kk"] = -14.246917  # dearer than two k, but as dear as two rounded ones

CASES = [
    ("an empty text", ""),
    ("words", "a red ring"),
    ("upper case is kept", "Red RED rING"),
    ("spaces are tokens", "  a   red  "),
    ("a space at the end", "red "),
    ("tabs and line ends are left out", "a\tred\nring\r\n"),
    ("a no-break space is left out", "a\u00a0red\u3000ring"),
    ("full-width letters are left out", "ａ ｒｅｄ ring"),
    ("a ligature is left out", "ﬁ a ﬁ"),
    ("a fraction stays one character", "½"),
    ("an accent in one character", "café"),
    ("an accent of its own is left out", "cafe\u0301"),
    ("the mark of a word's begin is left out", "a▁red▁ring"),
    ("unknown characters are left out", "a ñ red ß ring"),
    ("no piece spans what is left out", "reñd riñng"),
    ("characters beyond 2^16 are left out", "🙂 red 🙂🙂ring🙂"),
    ("a known character behind a false start is left out too", "dza dzqa dzzdza"),
    ("the end of a false start is left out", "a red dz"),
    ("only unknown characters", "ñß日"),
    ("half of a known word", "日 日本 本日"),
    ("the end mark is text", "a</s>red"),
    ("the padding mark is text", "<pad>"),
    ("the unknown mark is text", "<unk> red"),
    ("ways of the same cost: a run of a", "aaaaaaaaa"),
    ("ways of the same cost: dots", ".......... a..."),
    ("exclamation marks", "a!!!!!"),
    ("rounding of scores", "kk kkkk"),
    ("a byte order mark is left out", "a\ufeffred"),
    ("control characters are left out", "a\u0000r\u0007ed"),
    ("600 characters", "a red ring, " * 50),
    ("characters are code points", "🙂" * 400 + "r" * 90 + " " * 60),
    ("the 513th character", "🙂" * 511 + "aa"),
    ("128 tokens", "r" * 126),
    ("129 tokens: the end token is cut", "r" * 127),
    ("200 tokens", "r" * 198),
]


def mdm_tokenizer(vocabulary):
    """A function from text to ids; marks get a name that no text has."""
    trie, costs = CharTrie(), []
    for piece, score in vocabulary:
        text = piece.replace("▁", " ").encode()
        special = piece in MARKS or piece.startswith("<extra_id_")
        trie.insert(b"\xff" + text if special else text)
        costs.append(-round(score, 5))
    tokenizer = mlx.data.core.Tokenizer(trie, ignore_unk=True, trie_key_scores=costs)
    return lambda text: ([*tokenizer.tokenize_shortest(" " + text[:512]), 1])[:128]


def definition(vocabulary):
    """The same vocabulary as a tokenizer.json, normalised as T5's."""
    mark = lambda i: {"id": i, "content": MARKS[i], "special": True, "normalized": False,
                      "single_word": False, "lstrip": False, "rstrip": False}
    return {
        "version": "1.0",
        "added_tokens": [mark(i) for i in range(3)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFKC"},
            {"type": "Strip", "strip_left": True, "strip_right": True},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        ]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always",
                          "split": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
        },
        "model": {"type": "Unigram", "unk_id": 2, "vocab": vocabulary, "byte_fallback": False},
    }


def record(fixtures):
    from tokenizers import Tokenizer

    vocabulary = [[mark, 0.0] for mark in MARKS] + [[p, float(s)] for p, s in WORDS.items()]
    tokenizer = definition(vocabulary)
    mdm = mdm_tokenizer(vocabulary)
    sentencepiece = Tokenizer.from_str(json.dumps(tokenizer))
    # Marks in a text are plain text to our tokenizer, which is tested elsewhere.
    spm = lambda text: None if "<" in text else sentencepiece.encode(text).ids[:128]
    lines = [json.dumps({"why": why, "text": text, "mdm": mdm(text), "sentencepiece": spm(text)})
             for why, text in CASES]
    (fixtures / "tokenizer" / "mdm.json").write_text(
        '{"tokenizer": ' + json.dumps(tokenizer) + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n")


def check(vocab):
    rows = [line.rstrip("\n").split("\t") for line in vocab.open(encoding="utf8")]
    mdm, pieces = mdm_tokenizer([(p, float(s)) for p, s in rows]), [p for p, _ in rows]
    rng = random.Random(0)
    for _ in range(5000):
        text = "".join(
            rng.choice([rng.choice(pieces).replace("▁", " "), chr(rng.randrange(32, 0x180)),
                        rng.choice(".!-=_ ae") * rng.randrange(1, 9), "日"])
            for _ in range(rng.randrange(20)))
        json.dump([text, mdm(text)], sys.stdout)
        print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixtures", type=Path, required=True)
    parser.add_argument("--vocab", type=Path)
    args = parser.parse_args()
    check(args.vocab) if args.vocab else record(args.fixtures)

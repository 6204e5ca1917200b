import assert from "../assert.ts";
import { MdmError, UsageError } from "../../src/errors.ts";
import { MdmTokenizer } from "../../src/text/mdm_tokenizer.ts";
import { Tokenizer } from "../../src/text/tokenizer.ts";

interface Case {
  why: string;
  text: string;
  /** What mlx-data gives. */
  mdm: number[];
  /** What Hugging Face's tokenizers give; null where they would read marks out of the text. */
  sentencepiece: number[] | null;
}

interface Fixture {
  tokenizer: { model: { vocab: [piece: string, score: number][] } };
  cases: Case[];
}

const FIXTURE: Fixture = JSON.parse(
  Deno.readTextFileSync(`${import.meta.dirname}/../fixtures/tokenizer/mdm.json`),
);

/** Loads a tokenizer from a file with this content. */
async function loadFrom(content: unknown, name = "tokenizer.json"): Promise<MdmTokenizer> {
  const folder = await Deno.makeTempDir();
  try {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await Deno.writeTextFile(`${folder}/${name}`, text);
    return await MdmTokenizer.load(`${folder}/${name}`);
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replaceAll(`${folder}/`, "");
    throw error;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function vocabFile(pieces: readonly (readonly [string, number])[]): string {
  return pieces.map(([piece, score]) => `${piece}\t${score}\n`).join("");
}

function unigram(vocab: unknown): unknown {
  return { model: { type: "Unigram", unk_id: 2, vocab } };
}

const MARKS: [string, number][] = [["<pad>", 0], ["</s>", 0], ["<unk>", 0]];

Deno.test("the ids are those of the reference, for each difference to sentencepiece", async () => {
  const tokenizer = await loadFrom(FIXTURE.tokenizer);
  assert.equal(tokenizer.padId, 0);
  assert.equal(tokenizer.vocabSize, FIXTURE.tokenizer.model.vocab.length);
  for (const { why, text, mdm } of FIXTURE.cases) {
    assert.deepEqual(tokenizer.encode(text, 128).ids, mdm, why);
  }
});

Deno.test("sentencepiece's tokenizer gives what it should for the same texts", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/tokenizer.json`, JSON.stringify(FIXTURE.tokenizer));
    const tokenizer = await Tokenizer.load(folder);
    for (const { why, text, sentencepiece } of FIXTURE.cases) {
      if (sentencepiece === null) continue;
      assert.deepEqual(tokenizer.encode(text, 128).ids, sentencepiece, why);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a .vocab file is the same vocabulary", async () => {
  const pieces = FIXTURE.tokenizer.model.vocab.map(([piece, score]) =>
    [piece, Number(score.toFixed(5))] as const
  );
  const tokenizer = await loadFrom(vocabFile(pieces), "t5.vocab");
  for (const { why, text, mdm } of FIXTURE.cases) {
    assert.deepEqual(tokenizer.encode(text, 128).ids, mdm, why);
  }
});

Deno.test("what was cut is said", async () => {
  const tokenizer = await loadFrom(FIXTURE.tokenizer);
  const told = (text: string, limit: number) => {
    const { ids, truncated, total } = tokenizer.encode(text, limit);
    return [ids.length, truncated, total];
  };
  assert.deepEqual(told("a red ring", 4), [4, false, 4]);
  assert.deepEqual(told("a red ring", 3), [3, true, 4]);
  assert.deepEqual(told("r".repeat(600), 1000), [514, true, 602]);
  assert.deepEqual(told("r".repeat(512), 1000), [514, false, 514]);
});

Deno.test("the limit on characters can be lifted", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/tokenizer.json`, JSON.stringify(FIXTURE.tokenizer));
    const tokenizer = await MdmTokenizer.load(folder, { maxCharacters: null });
    assert.equal(tokenizer.encode("r".repeat(600), 1000).ids.length, 602);
    const short = await MdmTokenizer.load(folder, { maxCharacters: 1 });
    assert.deepEqual(short.encode("a red", 128).ids, [4, 1]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("hostile texts take linear time", async () => {
  // Pieces as long as may be, all alive at every character.
  const long = Array.from({ length: 256 }, (_, i): [string, number] => ["a".repeat(i + 1), -1]);
  const tokenizer = await loadFrom(unigram([...MARKS, ...long]));
  const start = performance.now();
  tokenizer.encode("a".repeat(100_000), 128);
  assert.ok(performance.now() - start < 10_000);
  assert.throws(() => tokenizer.encode("a".repeat(100_001), 128), UsageError);
});

Deno.test("half of a surrogate pair is left out", async () => {
  const tokenizer = await loadFrom(FIXTURE.tokenizer);
  assert.deepEqual(tokenizer.encode("a \ud83d red \ude42", 128).ids, [4, 3, 5, 3, 1]);
});

const REFUSED: [name: string, content: unknown, file: string, reason: RegExp][] = [
  ["no JSON", "{", "tokenizer.json", /is not JSON/],
  ["a list", [], "tokenizer.json", /not a "Unigram" vocabulary/],
  ["another model", { model: { type: "BPE", vocab: {} } }, "tokenizer.json", /not a "Unigram"/],
  ["an entry that is no pair", unigram([...MARKS, "a"]), "tokenizer.json", /piece 3 is not a list/],
  ["a score that is text", unigram([...MARKS, ["a", "1"]]), "tokenizer.json", /piece 3 is not a l/],
  ["a score over 0", unigram([...MARKS, ["a", 1]]), "tokenizer.json", /piece 3 must be text with/],
  ["an empty piece", unigram([...MARKS, ["", -1]]), "tokenizer.json", /piece 3 must be text with/],
  [
    "a long piece",
    unigram([["a".repeat(257), -1]]),
    "tokenizer.json",
    /piece 0 is longer than 256/,
  ],
  ["no pieces", unigram([]), "tokenizer.json", /has 0 pieces/],
  ["a piece twice", unigram([...MARKS, ["▁", -1], [" ", -1]]), "tokenizer.json", /" " is there tw/],
  ["no padding", unigram([["</s>", 0]]), "tokenizer.json", /it lacks the piece "<pad>"/],
  ["no end", unigram([["<pad>", 0]]), "tokenizer.json", /it lacks the piece "<\/s>"/],
  [
    "a line without a tab",
    "<pad>\t0\nabc\n",
    "x.vocab",
    /line 2 is not a piece, a tab and a score/,
  ],
  ["a line with two tabs", "<pad>\t0\t1\n", "x.vocab", /line 1 is not a piece/],
  ["a score that is no number", "<pad>\tx\n", "x.vocab", /piece 0 must be text with a score/],
  ["an empty file", "", "x.vocab", /it is empty, not a vocabulary/],
  ["an empty line", "\n", "x.vocab", /line 1 is not a piece/],
];

for (const [name, content, file, reason] of REFUSED) {
  Deno.test(`a vocabulary is refused: ${name}`, async () => {
    await assert.rejects(loadFrom(content, file), (error) => {
      assert.ok(error instanceof MdmError, String(error));
      assert.match(error.message, reason);
      assert.ok(error.message.includes(`"${file}"`), error.message);
      return true;
    });
  });
}

Deno.test("a vocabulary that is not there is refused", async () => {
  await assert.rejects(MdmTokenizer.load("/nowhere"), /nowhere\/tokenizer.json": there is no such/);
  await assert.rejects(MdmTokenizer.load("/nowhere/t5.vocab"), /t5.vocab": there is no such file/);
});

import assert from "../assert.ts";
import { MdmError, UsageError } from "../../src/errors.ts";
import { MdmTokenizer } from "../../src/text/mdm_tokenizer.ts";
import { parseModel } from "../../src/text/sentencepiece_model.ts";
import { Tokenizer } from "../../src/text/tokenizer.ts";
import { bytesOf, type Part } from "../checkpoint/torch/write_pickle.ts";

const FIXTURES = `${import.meta.dirname}/../fixtures/sentencepiece`;

/** What Python's libraries give for each text, by the model's name. */
const RECORDED: {
  texts: string[];
  sentencepiece: Record<string, number[][]>;
  tokenizers: Record<string, number[][]>;
} = JSON.parse(await Deno.readTextFile(`${FIXTURES}/ids.json`));

const END = 1;

/** Runs `use` on a folder with these files. */
async function withFolder<T>(
  files: Record<string, Uint8Array | string>,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    return await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const [name, all] of Object.entries(RECORDED.sentencepiece)) {
  Deno.test(`a folder with spiece.model alone gives the ids of sentencepiece: ${name}`, async () => {
    const model = await Deno.readFile(`${FIXTURES}/${name}.model`);
    const tokenizer = await withFolder({ "spiece.model": model }, Tokenizer.load);
    assert.equal(tokenizer.padId, 0);
    for (const [i, text] of RECORDED.texts.entries()) {
      assert.deepEqual(tokenizer.encode(text, 1e5).ids, [...all[i]!, END], JSON.stringify(text));
    }
  });
}

for (const [name, all] of Object.entries(RECORDED.tokenizers)) {
  Deno.test(`a tokenizer.json with rules of sentencepiece gives the ids of tokenizers: ${name}`, async () => {
    const tokenizer = await Tokenizer.load(`${FIXTURES}/${name}.json`);
    for (const [i, text] of RECORDED.texts.entries()) {
      assert.deepEqual(tokenizer.encode(text, 1e5).ids, all[i], JSON.stringify(text));
    }
  });
}

Deno.test("a tokenizer.json is preferred to a spiece.model", async () => {
  const files = {
    "tokenizer.json": await Deno.readFile(`${FIXTURES}/rules.json`),
    "spiece.model": await Deno.readFile(`${FIXTURES}/bytes.model`),
  };
  const { vocabSize } = await withFolder(files, Tokenizer.load);
  assert.equal(vocabSize, (await Tokenizer.load(`${FIXTURES}/rules.model`)).vocabSize);
});

Deno.test("the reference's way of reading text takes the pieces of a spiece.model", async () => {
  const file = await MdmTokenizer.load(`${FIXTURES}/rules.model`);
  const json = await MdmTokenizer.load(`${FIXTURES}/rules.json`);
  assert.equal(file.vocabSize, json.vocabSize);
  for (const text of RECORDED.texts) {
    assert.deepEqual(file.encode(text, 100), json.encode(text, 100));
  }
});

Deno.test("a text is cut at the limit of tokens, and refused if it becomes too long", async () => {
  const tokenizer = await Tokenizer.load(`${FIXTURES}/rules.model`);
  const { ids, total } = tokenizer.encode("a red ring", 1e5);
  assert.deepEqual(tokenizer.encode("a red ring", 2), {
    ids: ids.slice(0, 2),
    truncated: true,
    total,
  });
  assert.equal(tokenizer.encode("\ud83d a", 9).ids.at(-1), END);
  assert.throws(() => tokenizer.encode("a".repeat(100_001), 9), UsageError);
  // One character becomes 1,000, which is within what a rule may do.
  const rules = replacing("a", "b".repeat(1000));
  const model = bytesOf(MARKS, field(3, field(2, rules)));
  const long = await withFolder({ "spiece.model": model }, Tokenizer.load);
  assert.equal(long.encode("a".repeat(10), 9).truncated, false);
  assert.throws(() => long.encode("a".repeat(100_000), 9), {
    name: "UsageError",
    message:
      /^Cannot read a prompt of 100000 characters: it becomes 1\d+ characters\. Shorten it\.$/,
  });
});

/** A field of protocol buffers with bytes in it. */
function field(number: number, ...parts: Part[]): Uint8Array {
  const bytes = bytesOf(...parts);
  return bytesOf(varint(number * 8 + 2), varint(bytes.length), bytes);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return Uint8Array.from([...bytes, value]);
}

const number = (id: number, value: number) => bytesOf(varint(id * 8), varint(value));
const piece = (text: string, type = 1) => field(1, field(1, text), number(3, type));
const MARKS = bytesOf(piece("<pad>", 3), piece("</s>", 3), piece("<unk>", 2));

/** Rules of which one replaces an ASCII character. */
function replacing(character: string, replacement: string): Uint8Array {
  const units = new Uint32Array(512);
  const code = character.charCodeAt(0);
  units[0] = 256 << 10; // What follows is at 256 and on.
  units[256 + code] = (256 ^ 1) << 10 | 0x100 | code;
  units[(256 + code) ^ 257] = 0x80000000; // The value, 0.
  return bytesOf(
    new Uint8Array(Uint32Array.of(units.byteLength).buffer),
    new Uint8Array(units.buffer),
    replacement,
    "\0",
  );
}

const REFUSED: [name: string, model: Part, reason: RegExp][] = [
  ["BPE", Deno.readFileSync(`${FIXTURES}/bpe.model`), /its algorithm is BPE but must be UNIGRAM/],
  [
    "a pointer of Git LFS",
    "version https://git-lfs.github.com/spec/v1\n",
    /pointer of Git LFS, not a sen/,
  ],
  ["a page", "<html>", /an HTML page/],
  ["nothing", "", /it is empty/],
  ["a field cut short", bytesOf(MARKS, "\x0a\x7fabc"), /it is cut short/],
  ["a number without an end", bytesOf(MARKS, "\xff".repeat(12)), /no message of protocol buffers/],
  ["a group", bytesOf(MARKS, "\x0b"), /no message of protocol buffers/],
  ["no pieces", field(3, number(3, 1)), /is not a sentencepiece model/],
  ["a type that is unknown", bytesOf(MARKS, piece("a", 9)), /a piece of an unknown type/],
  [
    "no unknown piece",
    bytesOf(piece("<pad>", 3), piece("</s>", 3)),
    /no piece for what is unknown/,
  ],
  [
    "no padding",
    bytesOf(piece("</s>", 3), piece("<unk>", 2)),
    /it lacks the padding token "<pad>"/,
  ],
  ["no end", bytesOf(piece("<pad>", 3), piece("<unk>", 2)), /it lacks the end token "<\/s>"/],
  ["a piece twice", bytesOf(MARKS, piece("a"), piece("a")), /"a" is there twice/],
  [
    "bytes that are missing",
    bytesOf(MARKS, field(2, number(35, 1))),
    /0 pieces for bytes, not 256/,
  ],
  [
    "damaged rules",
    bytesOf(MARKS, field(3, field(2, "abc"))),
    /rules of normalization are damaged/,
  ],
];

for (const [name, model, reason] of REFUSED) {
  Deno.test(`a spiece.model is refused: ${name}`, async () => {
    await withFolder({ "spiece.model": bytesOf(model) }, async (folder) => {
      await assert.rejects(Tokenizer.load(folder), (error) => {
        assert.ok(error instanceof MdmError, String(error));
        assert.match(error.message, reason);
        assert.ok(error.message.startsWith(`Cannot load "${folder}/spiece.model": `));
        return true;
      });
    });
  });
}

Deno.test("fields of a model that are not known are passed over", () => {
  const other = bytesOf(
    "\x98\x06\x05",
    "\xa1\x06\0\0\0\0\0\0\0\0",
    "\xa5\x06\0\0\0\0",
    field(90, "x"),
  );
  const model = parseModel(bytesOf(other, MARKS, piece("a"), other));
  assert.deepEqual(model.pieces.map(({ text }) => text), ["<pad>", "</s>", "<unk>", "a"]);
  assert.equal(model.endId, 1);
});

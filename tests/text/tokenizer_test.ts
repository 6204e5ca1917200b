import assert from "../assert.ts";
import { MdmError, UsageError } from "../../src/errors.ts";
import type { TextTokenizer } from "../../src/text/text_tokenizer.ts";
import { Tokenizer } from "../../src/text/tokenizer.ts";

const SHAPES32 = new URL("../../weights/shapes32/tokenizer", import.meta.url).pathname;
const PAD = 0, END = 1, UNKNOWN = 2;

// deno-lint-ignore no-explicit-any -- the tests break single fields of it
type Json = any;

async function readShapes32(file: string): Promise<Json> {
  return JSON.parse(await Deno.readTextFile(`${SHAPES32}/${file}`));
}

/** Loads a tokenizer from files with this content; an absent one is not written. */
async function loadFrom(files: Record<string, unknown>): Promise<TextTokenizer> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      const text = typeof content === "string" ? content : JSON.stringify(content);
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    return await Tokenizer.load(folder);
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replaceAll(`${folder}/`, "");
    throw error;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("Tokenizer: the default checkpoint's numbers", async () => {
  const tokenizer = await Tokenizer.load(SHAPES32);
  assert.equal(tokenizer.padId, PAD);
  assert.equal(tokenizer.vocabSize, 96);
  assert.equal(tokenizer.modelMaxLength, 32);
});

Deno.test("Tokenizer: the prompts of the golden sampling run", async () => {
  const tokenizer = await Tokenizer.load(SHAPES32);
  const prompts: [string, number[]][] = [
    ["", [1]],
    ["a red circle on a white background", [3, 8, 17, 4, 3, 15, 5, 1]],
    [
      "a small blue star in the top left on a yellow background",
      [3, 22, 21, 12, 25, 26, 32, 27, 4, 3, 19, 5, 1],
    ],
    ["a large green triangle on a black background", [3, 23, 7, 6, 4, 3, 16, 5, 1]],
    [
      "a purple square left of a orange ring on a gray background",
      [3, 10, 9, 27, 24, 3, 13, 18, 4, 3, 14, 5, 1],
    ],
  ];
  for (const [prompt, ids] of prompts) {
    assert.deepEqual(tokenizer.encode(prompt, 32), { ids, truncated: false, total: ids.length });
  }
});

Deno.test("Tokenizer: the same ids as the Python library, but for special tokens", async () => {
  const path = new URL("../fixtures/tokenizer/shapes32.json", import.meta.url);
  const recorded: { text: string; ids: number[] }[] = JSON.parse(await Deno.readTextFile(path));
  const tokenizer = await Tokenizer.load(SHAPES32);
  let compared = 0;
  for (const { text, ids } of recorded) {
    const own = tokenizer.encode(text, 100_000).ids;
    // Lowercasing and NFKC make special tokens too, which the Python library then parses.
    if (/<\/s>|<pad>|<unk>/i.test(text.normalize("NFKC"))) {
      assert.ok(!own.includes(PAD), text);
      assert.equal(own.indexOf(END), own.length - 1, text);
    } else {
      assert.deepEqual(own, ids, JSON.stringify(text));
      compared++;
    }
  }
  assert.ok(compared > 20, `${compared} texts compared`);
});

Deno.test("Tokenizer: white space is what Unicode says, not JavaScript", async () => {
  const tokenizer = await Tokenizer.load(SHAPES32);
  assert.deepEqual(tokenizer.encode("\x85a red\x85", 100).ids, [3, 8, END]);
  assert.deepEqual(tokenizer.encode("\ufeffa red\ufeff", 100).ids.slice(0, 2), [53, UNKNOWN]);
});

Deno.test("Tokenizer: special tokens in a prompt are plain text", async () => {
  const tokenizer = await Tokenizer.load(SHAPES32);
  const ids = (text: string) => tokenizer.encode(text, 100).ids;
  const space = 53, a = 56, n = 59, s = 60, d = 63, u = 66, p = 72, k = 75;
  // "<", "/" and ">" are not in the vocabulary, and side by side they are one unknown.
  assert.deepEqual(ids("a </s> red"), [3, space, UNKNOWN, s, UNKNOWN, 8, END]);
  assert.deepEqual(ids("<pad>"), [space, UNKNOWN, p, a, d, UNKNOWN, END]);
  assert.deepEqual(ids("<unk>"), [space, UNKNOWN, u, n, k, UNKNOWN, END]);
  // Full-width letters become "</s>" only by normalization, when the Python library has looked.
  assert.deepEqual(ids("＜/s＞ red"), [space, UNKNOWN, s, UNKNOWN, 8, END]);
  // Not even the names that the special pieces were given.
  assert.ok(!ids("\uD800</s>\uD800<pad>").slice(0, -1).some((id) => id === PAD || id === END));
});

Deno.test("Tokenizer: special tokens without an entry in added_tokens are out of reach too", async () => {
  const definition = await readShapes32("tokenizer.json");
  definition.added_tokens = [];
  const tokenizer = await loadFrom({
    "tokenizer.json": definition,
    "tokenizer_config.json": { pad_token: { content: "<pad>" }, eos_token: "</s>" },
  });
  const { ids } = tokenizer.encode("</s>", 100);
  assert.deepEqual(ids, [53, UNKNOWN, 60, UNKNOWN, END]);
  assert.ok(!tokenizer.encode("<pad>", 100).ids.includes(PAD));
});

Deno.test("Tokenizer: the cut takes the end token with it, as in the reference", async () => {
  const tokenizer = await Tokenizer.load(SHAPES32);
  const text = "a red circle on a white background";
  assert.deepEqual(tokenizer.encode(text, 8).truncated, false);
  assert.deepEqual(tokenizer.encode(text, 7), {
    ids: [3, 8, 17, 4, 3, 15, 5],
    truncated: true,
    total: 8,
  });
  assert.deepEqual(tokenizer.encode(text, 1), { ids: [3], truncated: true, total: 8 });
});

Deno.test("Tokenizer: without a post-processor nothing is added", async () => {
  const definition = await readShapes32("tokenizer.json");
  definition.post_processor = null;
  const tokenizer = await loadFrom({ "tokenizer.json": definition });
  assert.deepEqual(tokenizer.encode("a red circle", 2).ids, [3, 8]);
  assert.equal(tokenizer.modelMaxLength, undefined);
});

Deno.test("Tokenizer: unknown words side by side stay apart without a piece for the space", async () => {
  const definition = await readShapes32("tokenizer.json");
  for (const entry of definition.model.vocab) if (entry[0] === "▁") entry[0] = "Ω";
  const tokenizer = await loadFrom({ "tokenizer.json": definition });
  assert.deepEqual(tokenizer.encode("日本 語 red", 100).ids, [UNKNOWN, UNKNOWN, 8, END]);
});

Deno.test("Tokenizer: a token that was added but is not special is parsed", async () => {
  const definition = await readShapes32("tokenizer.json");
  definition.added_tokens.push({ id: 99, content: "teapot", normalized: false, special: false });
  const tokenizer = await loadFrom({ "tokenizer.json": definition });
  assert.equal(tokenizer.vocabSize, 100);
  assert.deepEqual(tokenizer.encode("a red teapot", 100).ids, [3, 8, 99, END]);
});

Deno.test("Tokenizer: a long text is read fast, a longer one not at all", async () => {
  const tokenizer = await Tokenizer.load(SHAPES32);
  // One unknown token; the library alone takes ten seconds for it.
  assert.deepEqual(tokenizer.encode("日".repeat(100_000), 32).ids, [53, UNKNOWN, END]);
  assert.equal(tokenizer.encode("a ".repeat(50_000), 32).ids.length, 32);
  assert.throws(() => tokenizer.encode("a".repeat(100_001), 32), (error) => {
    assert.ok(error instanceof UsageError);
    assert.equal(
      error.message,
      "Cannot read a prompt of 100001 characters: shorten it to 100000.",
    );
    return true;
  });
});

async function assertFails(files: Record<string, unknown>, message: string) {
  await assert.rejects(loadFrom(files), (error) => {
    assert.ok(error instanceof MdmError, String(error));
    assert.equal(error.message, message);
    return true;
  });
}

Deno.test("Tokenizer: files that cannot be loaded", async (t) => {
  const missing = "there is no such file. Name a folder with a tokenizer.json or a spiece.model.";
  await assertFails({}, `Cannot load "tokenizer.json": ${missing}`);
  await assert.rejects(loadFrom({ "tokenizer.json": "{" }), {
    name: "MdmError",
    message: `Cannot load "tokenizer.json": it is not JSON (line 1, column 2). Get the file again.`,
  });
  await assertFails(
    { "tokenizer.json": [] },
    `Cannot load "tokenizer.json": it must hold a JSON object.`,
  );
  const definition = await readShapes32("tokenizer.json");
  await assertFails(
    { "tokenizer.json": definition, "tokenizer_config.json": "3" },
    `Cannot load "tokenizer_config.json": it must hold a JSON object.`,
  );

  const cases: [change: (json: Json) => void, reason: string][] = [
    [(json) => delete json.model, `its model is undefined but must be "Unigram", as T5 has it`],
    [(json) => json.model.type = "BPE", `its model is "BPE" but must be "Unigram", as T5 has it`],
    [(json) => json.model.vocab = [], "its vocabulary must be a list of [piece, score]"],
    [(json) => json.model.vocab[3] = ["a"], "its vocabulary must be a list of [piece, score]"],
    [(json) => json.model.vocab[3] = 7, "its vocabulary must be a list of [piece, score]"],
    [(json) => json.model.unk_id = 96, `its "unk_id" must be the index of a piece`],
    [(json) => json.model.unk_id = null, `its "unk_id" must be the index of a piece`],
    [(json) => json.added_tokens = {}, `its "added_tokens" must be a list of {id, content}`],
    [
      (json) => json.added_tokens[0].id = 2 ** 32,
      `its "added_tokens" must be a list of {id, content}`,
    ],
    [
      (json) => json.post_processor.type = "BertProcessing",
      `its post-processor must be "TemplateProcessing", as T5 has it`,
    ],
    [(json) => json.post_processor.single.shift(), "its post-processor leaves the text out"],
    [
      (json) => json.post_processor.special_tokens = {},
      "its post-processor names a special token without ids",
    ],
    [(json) => json.pre_tokenizer.replacement = "_", `its pre-tokenizer must mark words with "▁"`],
    [
      (json) => json.normalizer = { type: "Precompiled", precompiled_charsmap: "AAAA" },
      "its rules of normalization are damaged",
    ],
    [
      (json) => json.normalizer = { type: "Precompiled", precompiled_charsmap: "?" },
      "its rules of normalization are not in base64",
    ],
    [
      (json) => json.normalizer = { type: "Fancy" },
      "the tokenizer library cannot read it (Unknown Normalizer type: Fancy)",
    ],
  ];
  for (const [change, reason] of cases) {
    await t.step(`${change}`, async () => {
      const json = structuredClone(definition);
      change(json);
      await assertFails({ "tokenizer.json": json }, `Cannot load "tokenizer.json": ${reason}.`);
    });
  }

  await assertFails(
    { "tokenizer.json": definition, "tokenizer_config.json": { eos_token: "<end>" } },
    `Cannot load "tokenizer.json": it lacks the eos_token "<end>".`,
  );
  const padless = structuredClone(definition);
  padless.added_tokens.shift();
  padless.model.vocab[0][0] = "Ω";
  await assertFails(
    { "tokenizer.json": padless },
    `Cannot load "tokenizer.json": it lacks the padding token "<pad>".`,
  );
});

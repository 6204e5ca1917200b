import assert from "../../assert.ts";
import { MdmError } from "../../../src/errors.ts";
import { parseConfiguration } from "../../../src/pipeline/models/configuration.ts";

const TEXT = { encoder: "text_encoder", tokenizer: "tokenizer", max_token_length: 77 };

const textOf = (text: unknown) => parseConfiguration({ text }, "config.json").text;

Deno.test("how a model reads text is in its configuration", () => {
  assert.deepEqual(textOf(TEXT), {
    folders: { encoder: "text_encoder", tokenizer: "tokenizer" },
    maxTokens: 77,
    maxCharacters: null,
    tokenizerMode: "sentencepiece",
  });
  assert.deepEqual(
    textOf({ max_token_length: 4096, max_caption_length: 100_000, tokenizer_mode: "mdm" }),
    { folders: null, maxTokens: 4096, maxCharacters: 100_000, tokenizerMode: "mdm" },
  );
  assert.equal(parseConfiguration({}, "config.json").classes, true);
});

const WRONG: [text: unknown, message: RegExp][] = [
  ["mdm", /"text" is "mdm" but must be an object/],
  [{ ...TEXT, max_token_length: undefined }, /"text\.max_token_length" is missing/],
  [{ ...TEXT, max_token_length: 4097 }, /is 4097 but must be an integer from 1 to 4096/],
  [{ ...TEXT, max_token_length: 0 }, /is 0 but must be an integer from 1 to 4096/],
  [{ ...TEXT, max_caption_length: 100_001 }, /is 100001 but must be an integer from 1 to 100000/],
  [{ ...TEXT, tokenizer_mode: "bpe" }, /is "bpe" but must be "mdm" or "sentencepiece"/],
  [{ ...TEXT, encoder: undefined }, /"text\.encoder" is missing but must be the name of a folder/],
  [{ ...TEXT, tokenizer: undefined }, /"text\.tokenizer" is missing but must be the name/],
  [{ ...TEXT, encoder: "../secret" }, /"text\.encoder" is "\.\.\/secret" but must be the name/],
  [{ ...TEXT, tokenizer: ".." }, /"text\.tokenizer" is "\.\." but must be the name/],
  [{ ...TEXT, tokenizer: "a/b" }, /"text\.tokenizer" is "a\/b" but must be the name/],
];

Deno.test("what is wrong with it is named, and no folder leads out of the model", () => {
  for (const [text, message] of WRONG) {
    assert.throws(() => textOf(text), (error: Error) => {
      assert.ok(error instanceof MdmError);
      assert.match(error.message, /^Cannot load "config\.json": /);
      assert.match(error.message, message);
      return true;
    });
  }
});

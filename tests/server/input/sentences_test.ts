/** What is wrong, in words. */
import assert from "../../assert.ts";
import { z } from "../../../src/deps/zod_openapi.ts";
import {
  fields,
  httpAddress,
  numberFrom,
  text,
  wholeNumber,
  written,
} from "../../../src/server/input/fields.ts";
import { invalid } from "../../../src/server/http/http_error.ts";
import { RAW_TEXT } from "../http/raw_text.ts";

function said(schema: z.ZodType, value: unknown): string {
  const { success, error } = schema.safeParse(value);
  if (success) return "nothing";
  const { message, fields } = invalid(error);
  assert.doesNotMatch(message, RAW_TEXT);
  for (const field of fields) assert.doesNotMatch(field.message, RAW_TEXT);
  return message;
}

Deno.test("a sentence names the field, what it has to be and what was given", () => {
  const steps = fields({ steps: wholeNumber(1, 9).optional() });
  const given = (value: unknown) => said(steps, { steps: value });
  const allowed = `"steps" has to be a whole number from 1 to 9, not`;
  for (
    const [value, shown] of [
      [0, "0"],
      [10, "10"],
      [1.5, "1.5"],
      [-1e308, "-1e+308"],
      [2 ** 53, "9007199254740992"],
      [Infinity, "a number without bounds"],
      ["5", `"5"`],
      ["five\u0000\n", `"five\\u0000\\n"`],
      ["x".repeat(41), "text of 41 letters"],
      [true, "true"],
      [[], "an empty list"],
      [[1, 2], "[1, 2]"],
      [["a"], "a list of 1"],
      [{}, "an object"],
    ] as const
  ) assert.equal(given(value), `${allowed} ${shown}.`);
  assert.equal(given(5), "nothing");
});

Deno.test("what is missing is called missing, also where it is null", () => {
  const prompt = fields({ prompt: text(1, 9) });
  const missing = `"prompt" is missing: it has to be text of 1 to 9 letters.`;
  assert.equal(said(prompt, {}), missing);
  assert.equal(said(prompt, { prompt: null }), missing);
  assert.equal(said(prompt, null), "The body has to be an object, not null.");
  assert.equal(said(prompt, [1]), "The body has to be an object, not [1].");
});

Deno.test("an unknown field is told with the one that was meant, before what is missing for it", () => {
  const job = fields({ prompt: text(1, 9), steps: wholeNumber(1, 9).optional() });
  assert.equal(said(job, { promt: "a" }), `There is no field "promt": did you mean "prompt"?`);
  assert.equal(
    said(fields({ input: job }), { input: { prompt: "a", num_inference_steps: 3 } }),
    `There is no field "input.num_inference_steps": did you mean "steps"?`,
  );
  assert.equal(
    said(job, { prompt: "a", colour: 1 }),
    `There is no field "colour": /openapi.json lists those that there are.`,
  );
  assert.equal(said(fields({}), { a: 1 }), `There is no field "a": leave it out.`);
  const error = job.safeParse({ promt: "a", "two\nlines": 1 }).error!;
  assert.deepEqual(invalid(error).fields.map(({ path }) => path), [["promt"], ["two\nlines"], [
    "prompt",
  ]]);
});

Deno.test("names that objects have by nature are fields like others", () => {
  const job = fields({ prompt: text(1, 9) });
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    const body = JSON.parse(`{"prompt": "a", "${name}": {"prompt": "b"}}`);
    assert.match(said(job, body), new RegExp(`^There is no field "${name}"`));
  }
});

Deno.test("schemas without sentences of their own have them as well", () => {
  const all = fields({
    text: z.string().min(2).max(3),
    number: z.number().gt(1).lt(2).multipleOf(0.25),
    whole: z.int().min(1),
    choice: z.enum(["red", "green", "blue"]),
    one: z.literal(7),
    list: z.array(z.boolean()).min(1).max(2),
    when: z.iso.datetime(),
    where: z.url(),
    id: z.string().regex(/^a/),
    never: z.null(),
    either: z.union([z.boolean(), z.int()]),
    query: z.coerce.number(),
  });
  const right = {
    text: "ab",
    number: 1.5,
    whole: 1,
    choice: "red",
    one: 7,
    list: [true],
    when: "2100-01-01T00:00:00Z",
    where: "https://a.example",
    id: "a",
    never: null,
    either: 1,
    query: "7",
  };
  assert.equal(said(all, right), "nothing");
  for (
    const [name, value, sentence] of [
      ["text", "a", `"text" has to be text of at least 2 letters, not "a".`],
      ["text", "abcd", `"text" has to be text of at most 3 letters, not "abcd".`],
      ["number", 1, `"number" has to be more than 1, not 1.`],
      ["number", 2, `"number" has to be less than 2, not 2.`],
      ["number", 1.1, `"number" has to be a multiple of 0.25, not 1.1.`],
      ["whole", 0, `"whole" has to be at least 1, not 0.`],
      ["whole", 1.5, `"whole" has to be a whole number, not 1.5.`],
      [
        "choice",
        "gren",
        `"choice" has to be "red", "green" or "blue", not "gren". Did you mean "green"?`,
      ],
      ["choice", 7, `"choice" has to be "red", "green" or "blue", not 7.`],
      ["one", 8, `"one" has to be 7, not 8.`],
      ["list", [], `"list" has to be a list of at least 1, not an empty list.`],
      ["list", [1], `"list.0" has to be true or false, not 1.`],
      ["when", "now", `"when" has to be a time as in ISO 8601, not "now".`],
      [
        "where",
        "here",
        `"where" has to be an address that begins with http:// or https://, not "here".`,
      ],
      ["id", "b", `"id" has to be written in another way, not "b".`],
      ["never", 1, `"never" has to be left out, not 1.`],
      ["either", "x", `"either" cannot be used: /openapi.json says what it may be.`],
      ["query", "x", `"query" has to be a number.`],
    ] as const
  ) assert.equal(said(all, { ...right, [name]: value }), sentence);
});

Deno.test("text is of whole characters", () => {
  const prompt = fields({ prompt: text(0, 9) });
  for (const right of ["", "a\nb", "😀", "\u202e"]) {
    assert.equal(said(prompt, { prompt: right }), "nothing");
  }
  for (const wrong of ["a\0", "\ud83d", "\ude00\ud83d"]) {
    assert.equal(
      said(prompt, { prompt: wrong }),
      `"prompt" has a character that is none (NUL, or half of one): leave it out.`,
    );
  }
});

Deno.test("a number that is written is one, and only that", () => {
  const query = fields({ limit: written(wholeNumber(1, 100)).default(20) });
  assert.deepEqual(query.parse({ limit: "7" }), { limit: 7 });
  assert.deepEqual(query.parse({}), { limit: 20 });
  for (const wrong of ["", " 7", "0x7", "1e1", "7.5", "1.2.3", "Infinity", "-1", "101"]) {
    assert.match(said(query, { limit: wrong }), /^"limit" has to be a whole number from 1 to 100/);
  }
});

Deno.test("an address is one of the web", () => {
  const where = fields({ url: httpAddress(50), share: numberFrom(0, 1) });
  const given = (url: unknown) => said(where, { url, share: 0 });
  assert.equal(given("https://a.example/x"), "nothing");
  for (
    const wrong of [
      "file:///etc/passwd",
      "javascript:0",
      "a",
      `https://a.example/${"x".repeat(50)}`,
    ]
  ) {
    assert.match(
      given(wrong),
      /^"url" has to be an address of at most 50 letters that begins with/,
    );
  }
});

Deno.test("of many faults twenty are told", () => {
  const job = fields({ prompt: text(1, 9), list: z.array(wholeNumber(0, 9)).optional() });
  const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`promt${i}`, i]));
  assert.equal(invalid(job.safeParse({ prompt: "a", ...many }).error!).fields.length, 20);
  const list = Array(1000).fill("x");
  assert.equal(invalid(job.safeParse({ prompt: "a", list }).error!).fields.length, 20);
});

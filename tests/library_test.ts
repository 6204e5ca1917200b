/** What a program can get wrong with the library, and what is said: a UsageError with one sentence. */
import assert from "./assert.ts";
import {
  convert,
  encodeAnimation,
  encodeImage,
  inspectModel,
  ModelSource,
  Pipeline,
} from "../mod.ts";

const MODEL = "weights/shapes32";
const RED = { width: 1, height: 1, data: Uint8Array.of(255, 0, 0, 255) };

// deno-lint-ignore no-explicit-any
type Anything = any;

function usage(call: Promise<unknown>, message: string | RegExp): Promise<void> {
  return assert.rejects(call, { name: "UsageError", message });
}

Deno.test("a pipeline says what it cannot be loaded or asked for, and that it was disposed of", async () => {
  const load = (path: unknown, options?: unknown) =>
    Pipeline.load(path as string, options as undefined);
  await usage(load(undefined), "Cannot use path undefined: give text.");
  await usage(load(MODEL, null), "Cannot use the options null: give an object.");
  await usage(
    load(MODEL, { lowMemroy: true }),
    `There is no option "lowMemroy": did you mean "lowMemory"?`,
  );
  await usage(load(MODEL, { memory: "4GB" }), `Cannot use memory "4GB": give a number.`);
  await usage(
    load(MODEL, { convAlgorithm: "winogard" }),
    /^Cannot use convAlgorithm "winogard": give one of .* Did you mean "winograd"\?$/,
  );
  await assert.rejects(load(MODEL, { textEncoder: "tests/fixtures/t5" }), {
    name: "MdmError",
    message:
      /^Cannot use the text encoder "tests\/fixtures\/t5": it gives \d+ features, but the model needs \d+\. Give the encoder that belongs to the model\.$/,
  });

  const pipeline = await Pipeline.load(MODEL, { lowMemory: undefined } as Anything);
  const generate = (request: unknown) => pipeline.generate(request as Anything).next();
  await usage(generate({}), "No prompt was given: give at least one.");
  await usage(generate(undefined), `Cannot make undefined: give { prompt: "a red circle" }.`);
  await usage(
    generate({ prompt: "a", stepz: 2 }),
    `There is no option "stepz": did you mean "steps"?`,
  );
  await usage(
    generate({ prompt: "a", seed: 1.5 }),
    "Cannot use seed 1.5: give a whole number from 0 to 2^64 - 1.",
  );
  const run = (resolved: unknown, options?: unknown) =>
    pipeline.run(resolved as Anything, options as Anything).next();
  const resolved = pipeline.resolve({ prompt: "a" });
  await usage(run({ prompt: "a" }), "Cannot make an object: give what resolve() gave.");
  await usage(run(undefined), "Cannot make undefined: give what resolve() gave.");
  await usage(run(resolved, { textFeatures: 7 }), "Cannot use textFeatures 7: give text.");
  await usage(run(resolved, { seed: 7 }), /^There is no option "seed": /);
  await pipeline[Symbol.asyncDispose]();
  await pipeline[Symbol.asyncDispose]();
  const gone = "The pipeline was disposed of: load the model again.";
  await usage(generate({ prompt: "a" }), gone);
  await usage(run(resolved), gone);
  assert.throws(() => pipeline.resolve({ prompt: "a" }), { name: "UsageError", message: gone });
});

Deno.test("what cannot be encoded is refused", async () => {
  const formats = `give one of "png", "jpeg", "webp".`;
  await usage(encodeImage(RED, "bmp" as "png"), `Cannot use format "bmp": ${formats}`);
  await usage(encodeImage(RED, undefined as Anything), `Cannot use format undefined: ${formats}`);
  const picture =
    "Cannot use the picture an object: give one with a width, a height, and width * height * 4 bytes of data.";
  for (
    const wrong of [
      {},
      { ...RED, width: 2 },
      { ...RED, width: 0 },
      { ...RED, data: [255, 0, 0, 255] },
    ]
  ) await usage(encodeImage(wrong as Anything, "png"), picture);
  await usage(encodeImage(undefined as Anything, "png"), /^Cannot use the picture undefined: /);
  await usage(encodeImage(RED, "png", { "": "a" }), /^Cannot use the keyword "": give 1 to 79 /);

  const animate = (frames: unknown, format: unknown, options: unknown) =>
    encodeAnimation(frames as Anything, format as Anything, options as Anything);
  await usage(animate([RED], "avi", { fps: 8 }), /^Cannot use format "avi": give one of "mp4", /);
  await usage(animate([{}], "gif", { fps: 8 }), picture);
  await usage(
    animate(undefined, "gif", { fps: 8 }),
    "Cannot use frames undefined: give an object.",
  );
  await usage(animate([RED], "gif", undefined), /^Cannot show undefined frames a second: give /);
  await usage(animate([RED], "gif", { fsp: 8 }), /^Cannot show undefined frames a second: give /);
  await usage(
    animate([RED], "gif", { fps: 8, txt: {} }),
    /^There is no option "txt": .* "text"\?$/,
  );
});

Deno.test("what cannot be inspected or converted is refused", async () => {
  await usage(inspectModel(7 as Anything), "Cannot use path 7: give text.");
  await usage(
    inspectModel(MODEL, { wieghts: "a" } as Anything),
    `There is no option "wieghts": did you mean "weights"?`,
  );
  using model = await ModelSource.open(MODEL);
  await usage(convert(model, undefined as Anything), "Cannot use out undefined: give text.");
  await usage(
    convert(model, "out", { dtype: "F8" } as Anything),
    `Cannot use dtype "F8": give one of "F32", "F16".`,
  );
});

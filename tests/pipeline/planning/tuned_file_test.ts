import assert from "../../assert.ts";
import { MdmError } from "../../../src/errors.ts";
import { CONV_ALGORITHMS, convKey } from "../../../src/gpu/conv_choice.ts";
import { parseTuned, readTuned, tunedText } from "../../../src/pipeline/planning/tuned_file.ts";

const SHAPE = { pixels: 64, outputs: 70, depth: 144, sources: 1, half: false };
const TILING = { tile: 32, splitK: 4 };
const CHOICES = [
  { shape: SHAPE, choice: { algorithm: "workgroup", tiling: TILING } },
  { shape: { ...SHAPE, half: true }, choice: { algorithm: "register" } },
] as const;

Deno.test("what was measured is read as it was written", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, tunedText("A GPU", CHOICES));
    const { adapter, convolutions } = await readTuned(path);
    assert.equal(adapter, "A GPU");
    assert.deepEqual(
      [...convolutions],
      CHOICES.map(({ shape, choice }) => [convKey(shape), choice]),
    );
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("anything else is refused with one sentence", () => {
  const valid = JSON.parse(tunedText("A GPU", CHOICES));
  const [first, second] = valid.convolutions;
  const changed = (change: object) => ({ ...valid, convolutions: [{ ...first, ...change }] });
  const { tile: _, ...untiled } = first;
  const refused: [unknown, string][] = [
    [[], `it must hold a JSON object.`],
    [{}, `"mdm" is missing but must be a version.`],
    [{ ...valid, adapter: 7 }, `"adapter" is 7 but must be a string.`],
    [
      { ...valid, adapter: "x".repeat(1e6) },
      `"adapter" is "${"x".repeat(56)}... but must be a name of at most 256 letters.`,
    ],
    [{ ...valid, faster: true }, `"faster" is not a known field. Remove it.`],
    [{ ...valid, convolutions: {} }, `"convolutions" is {} but must be a list of at most 4096.`],
    [
      { ...valid, convolutions: [null] },
      `"convolutions[0]" is null but must be an object.`,
    ],
    [
      { ...valid, convolutions: [first, second, first] },
      `"convolutions[2]" has the shape of another. Remove it.`,
    ],
    [
      changed({ pixels: 0 }),
      `"convolutions[0].pixels" is 0 but must be an integer from 1 to 16777216.`,
    ],
    [
      changed({ depth: 1.5 }),
      `"convolutions[0].depth" is 1.5 but must be an integer from 1 to 16777216.`,
    ],
    [
      changed({ outputs: "70" }),
      `"convolutions[0].outputs" is "70" but must be an integer from 1 to 16777216.`,
    ],
    [changed({ sources: 3 }), `"convolutions[0].sources" is 3 but must be an integer from 1 to 2.`],
    [changed({ half: 1 }), `"convolutions[0].half" is 1 but must be true or false.`],
    [
      changed({ variant: "constructor" }),
      `"convolutions[0].variant" is "constructor" but must be one of ${
        CONV_ALGORITHMS.join(", ")
      }.`,
    ],
    [
      changed({ tile: 48 }),
      `"convolutions[0].tile" is 48 but must be a tile that suits the shape, with 4 parts.`,
    ],
    [
      changed({ parts: 3 }),
      `"convolutions[0].tile" is 32 but must be a tile that suits the shape, with 3 parts.`,
    ],
    [
      changed({ parts: 1e9 }),
      `"convolutions[0].parts" is 1000000000 but must be an integer from 1 to 16.`,
    ],
    [
      { ...valid, convolutions: [untiled] },
      `"convolutions[0].tile" is missing but must be an integer from 16 to 128.`,
    ],
    [
      { ...valid, convolutions: [{ ...second, tile: 16 }] },
      `"convolutions[0].tile" is not a known field. Remove it.`,
    ],
    [changed({ speed: 2 }), `"convolutions[0].speed" is not a known field. Remove it.`],
  ];
  for (const [json, reason] of refused) {
    assert.throws(
      () => parseTuned(json, "t.json"),
      new MdmError(`Cannot load "t.json": ${reason}`),
    );
  }
  assert.throws(
    () => parseTuned({ ...valid, mdm: "0.0.0" }, "t.json"),
    new MdmError(`Cannot use "t.json": another version of mdm measured it. Run "mdm tune" again.`),
  );
});

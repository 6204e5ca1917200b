/** The options that say where a model's parts are, and how much memory there is. */

import assert from "../../assert.ts";
import { fileURLToPath } from "node:url";
import { Safetensors } from "../../../src/checkpoint/safetensors.ts";
import { writeSafetensors } from "../../../src/checkpoint/write_safetensors.ts";
import { readPng } from "../../media/png_pixels.ts";
import { fail, inFolder, SHAPES32, succeed } from "../mdm.ts";

const FEATURES = fileURLToPath(
  new URL("../../fixtures/golden/shapes32/text.safetensors", import.meta.url),
);
const PROMPTS = [
  "a red circle on a white background",
  "a small blue star in the top left on a yellow background",
  "a large green triangle on a black background",
  "a purple square left of a orange ring on a gray background",
];
const QUICK = ["--steps", "3", "--seed", "5"];

async function pixels(path: string): Promise<Uint8Array> {
  return readPng(await Deno.readFile(path)).data;
}

Deno.test("a model's parts may be anywhere", () =>
  inFolder(async (cwd) => {
    await Deno.copyFile(`${SHAPES32}/model.safetensors`, `${cwd}/alone.safetensors`);
    const parts = [
      ...["--model", "alone.safetensors", "--config", `${SHAPES32}/config.json`],
      ...["--text-encoder", `${SHAPES32}/text_encoder`],
      ...["--tokenizer", `${SHAPES32}/tokenizer`],
    ];
    const made = async (name: string, more: string[]) => {
      const args = ["generate", PROMPTS[1]!, ...QUICK, "-o", `${name}.png`, "--json", ...more];
      return JSON.parse(await succeed(args, { cwd })).settings.weights;
    };
    const plain = await made("plain", []);
    assert.equal(await made("parts", [...parts, "--low-memory"]), plain, "the same files");
    assert.deepEqual(await pixels(`${cwd}/parts.png`), await pixels(`${cwd}/plain.png`));
    await succeed(["replay", "plain.png", ...parts, "-o", "again.png"], { cwd });
    assert.deepEqual(
      await Deno.readFile(`${cwd}/again.png`),
      await Deno.readFile(`${cwd}/plain.png`),
    );
    const [model, ...rest] = parts.slice(1);
    const info = JSON.parse(await succeed(["info", model!, ...rest, "--json"], { cwd }));
    assert.equal(info.text.parameters, 88_512);
    const bench = [
      "bench",
      model!,
      ...rest,
      "--steps",
      "1",
      "--runs",
      "1",
      "--json",
      "--low-memory",
    ];
    assert.equal(JSON.parse(await succeed(bench, { cwd })).textBytes, 0);
  }));

Deno.test("text features may be given, and are part of what made a picture", () =>
  inFolder(async (cwd) => {
    const all = [...PROMPTS, ...QUICK, "-g", "4"];
    await succeed(["generate", ...all, "-o", "encoded/"], { cwd });
    await succeed(["generate", ...all, "-o", "given/", "--text-features", FEATURES], { cwd });
    for (const { name } of Deno.readDirSync(`${cwd}/encoded`)) {
      const encoded = await pixels(`${cwd}/encoded/${name}`);
      const given = await pixels(`${cwd}/given/${name}`);
      // The reference's encoder in float32, and ours: rounding may move a colour by one.
      assert.ok(encoded.every((value, i) => Math.abs(value - given[i]!) <= 1), name);
    }
    using features = await Safetensors.open(FEATURES);
    await writeSafetensors(
      `${cwd}/mask.safetensors`,
      features,
      new Map([["lm_mask", "F32"]]),
    );
    await fail(["generate", "a star", "--text-features", `${cwd}/mask.safetensors`], {
      code: 1,
      message: /^mdm: Cannot use the text features ".*mask\.safetensors": for 1 prompts they need/,
    });
  }));

Deno.test("memory is limited, and a size is needed for it", () =>
  inFolder(async (cwd) => {
    const args = ["generate", "a star", "-n", "4", ...QUICK, "--json", "-o", "out/"];
    const settings = async (memory: string) =>
      JSON.parse(await succeed([...args, "--memory", memory], { cwd })).settings;
    assert.equal((await settings("1GB")).batch, 4);
    assert.equal((await settings("12MiB")).batch, 2);
    await fail([...args, "--memory", "5MB"], {
      code: 1,
      message:
        /^mdm: Cannot make a picture of 32x32 in 4\.8 MiB of the GPU: it takes 9\.\d MiB .* Use --low-memory, a smaller --size or more --memory\.$/m,
    });
    await fail([...args, "--memory", "much"], {
      code: 2,
      message: `Option "--memory" needs a size such as "4GB" or "512MiB", not "much".`,
    });
    await fail([...args, "--level", "9"], {
      code: 2,
      message: `Option "--level" needs an integer from 0 to 7, not "9".`,
    });
    await fail([...args, "--config", "cc12m_32x32"], {
      code: 1,
      message: `Cannot load "cc12m_32x32": there is no such file. Check the path.`,
    });
  }));

/** mdm convert and mdm inspect, as people run them. */

import assert from "../../assert.ts";
import { fileURLToPath } from "node:url";
import { encodeHeader } from "../../../src/checkpoint/header.ts";
import { parseModelConfig } from "../../../src/model/config.ts";
import { Network } from "../../../src/model/network.ts";
import { presetConfig } from "../../../src/model/presets.ts";
import { command, decode, fail, inFolder, names, SHAPES32, succeed } from "../mdm.ts";

const CHECKPOINT = fileURLToPath(
  new URL("../../fixtures/golden/checkpoint_pth/vis_model_f16.pth", import.meta.url),
);
const ARGS = fileURLToPath(new URL("../../fixtures/pth/args_protocol2.pth", import.meta.url));

/** Writes cc12m_64x64 with every weight 0; the file system stores nothing of them. */
async function writeZeros(path: string): Promise<void> {
  const { parameters } = new Network(parseModelConfig(presetConfig("cc12m_64x64").model, path));
  const { header, dataBytes } = encodeHeader(
    [...parameters].map(([name, { shape }]) => ({ name, shape, dtype: "F16" })),
  );
  await Deno.writeFile(path, header);
  await Deno.truncate(path, header.length + dataBytes);
}

/** Waits until some bytes of weights are written below a folder. */
async function untilBytes(folder: string, bytes: number): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    for (const temporary of names(folder).filter((name) => name.startsWith(".mdm-"))) {
      for (const name of names(`${folder}/${temporary}`)) {
        const info = await Deno.stat(`${folder}/${temporary}/${name}`).catch(() => null);
        if (info !== null && info.size > bytes) return;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("Nothing was written");
}

Deno.test("a model is converted", () =>
  inFolder(async (cwd) => {
    assert.equal(await succeed(["convert", SHAPES32, "wide", "--dtype", "f32"], { cwd }), "wide\n");
    assert.deepEqual(names(cwd), ["wide"]);
    const inspected = JSON.parse(await succeed(["inspect", "wide", "--json"], { cwd }));
    assert.deepEqual(inspected.dtypes, { F32: { tensors: 429, parameters: 3_577_606 } });
    assert.deepEqual(inspected.differences, { missing: [], surplus: [], misshapen: [] });
  }));

Deno.test("a conversion that is stopped or killed leaves no folder", () =>
  inFolder(async (cwd) => {
    await writeZeros(`${cwd}/zeros.safetensors`);
    const args = ["convert", "zeros.safetensors", "out", "--config", "cc12m_64x64"];

    const killed = command([...args, "--dtype", "f32"], { cwd }).spawn();
    await untilBytes(cwd, 1 << 20);
    killed.kill("SIGKILL");
    assert.equal((await killed.output()).signal, "SIGKILL");
    const [left, ...rest] = names(cwd);
    assert.deepEqual(rest, ["zeros.safetensors"], "only what nobody takes for a model");
    await Deno.remove(`${cwd}/${left}`, { recursive: true });

    const stopped = command([...args, "--dtype", "f32"], { cwd }).spawn();
    await untilBytes(cwd, 1 << 20);
    stopped.kill("SIGTERM");
    const { code, stderr } = await stopped.output();
    assert.deepEqual([code, decode(stderr)], [143, "mdm: Stopped; nothing was written.\n"]);
    assert.deepEqual(names(cwd), ["zeros.safetensors"]);
  }));

Deno.test("what mdm convert refuses", async () => {
  await fail(["convert", SHAPES32], {
    code: 2,
    message: `Give a model and a new folder's name, as in "mdm convert vis_model.pth models/mine".`,
  });
  await fail(["convert", SHAPES32, "out", "--dtype", "f8"], {
    code: 2,
    message: `Option "--dtype" needs one of "f16", "f32", not "f8".`,
  });
  await fail(["convert", SHAPES32, SHAPES32], {
    code: 1,
    message: `Cannot write "${SHAPES32}": something is there. Give a new folder's name.`,
  });
  await fail(["convert", CHECKPOINT, "out", "--config", "cc12m_64x64"], {
    code: 1,
    message: /^mdm: Cannot load ".*vis_model_f16\.pth": \d+ of its tensors do not fit/,
  });
});

Deno.test("mdm inspect tells what a checkpoint is and whether it fits", async () => {
  const text = await succeed(["inspect", CHECKPOINT]);
  assert.match(text, /^ {2}Format +torch checkpoint \(zip\)$/m);
  assert.match(text, /^ {4}F16 +333,731 in 173 tensors$/m);
  assert.match(text, /^The tensors fit the configuration\.$/m);
  const misfit = await succeed(["inspect", CHECKPOINT, "--config", "cc12m_64x64"]);
  assert.match(misfit, /^\d+ of the tensors do not fit the configuration\.$/m);
  assert.match(
    misfit,
    /^ {2}Misshapen: temb_layer1\.weight is \[64, 16\] and should be \[1024, 256/m,
  );

  const { tensors } = JSON.parse(await succeed(["inspect", CHECKPOINT, "--json", "--tensors"]));
  assert.equal(tensors.length, 173);
  assert.deepEqual(tensors[0].shape, [64, 16]);
  const lines = (await succeed(["inspect", CHECKPOINT, "--tensors"])).trimEnd().split("\n");
  assert.match(lines.at(-1)!, /^ {2}[\w.]+ +F16 +[\d x]+$/);
});

Deno.test("mdm inspect counts what a pickle holds besides tensors", async () => {
  const { unknownRecords, configuration, differences } = JSON.parse(
    await succeed(["inspect", ARGS, "--json"]),
  );
  assert.equal(unknownRecords["argparse.Namespace"], 1);
  assert.equal(configuration.kind, "nested_unet");
  assert.deepEqual(differences.surplus, ["bias"]);
  assert.match(
    await succeed(["inspect", ARGS]),
    /^ {2}Unknown records, not run .*argparse\.Names/m,
  );
});

Deno.test("mdm inspect and mdm replay call a file what it is", () =>
  inFolder(async (folder) => {
    const [pointer, cat] = [`${folder}/vis_model.pth`, `${folder}/cat.jpg`];
    const lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    await Deno.writeTextFile(pointer, lfs);
    await Deno.writeFile(cat, Uint8Array.of(0xff, 0xd8, 0xff, 0xe0));
    const told: [command: string, path: string, is: string][] = [
      [
        "inspect",
        pointer,
        "a pointer of Git LFS, not a file of weights. " +
        `Run "git lfs pull" in its folder, or download the file itself.`,
      ],
      ["inspect", cat, "a JPEG picture, not a file of weights. Give a file of weights."],
      ["replay", cat, "a JPEG picture, not a PNG that mdm wrote. Give a PNG that mdm wrote."],
    ];
    for (const [command, path, is] of told) {
      await fail([command, path], { code: 1, message: `Cannot load "${path}": it is ${is}` });
    }
  }));

Deno.test("mdm inspect names what cannot be read", async () => {
  const path = fileURLToPath(new URL("../../fixtures/pth/unreadable.pth", import.meta.url));
  assert.match(
    await succeed(["inspect", path]),
    /^ {2}Cannot be read +sparse is a sparse tensor; .* and 2 more$/m,
  );
  const { unreadable } = JSON.parse(await succeed(["inspect", path, "--json"]));
  assert.equal(unreadable.meta, "is a tensor without numbers (on the meta device)");
});

Deno.test("mdm inspect of parts and of pictures", () =>
  inFolder(async (cwd) => {
    const encoder = JSON.parse(await succeed(["inspect", `${SHAPES32}/text_encoder`, "--json"]));
    assert.deepEqual(
      [encoder.configuration.kind, encoder.configuration.textWidth, encoder.parameters],
      ["t5_encoder", 64, 88_512],
    );
    await Deno.copyFile(CHECKPOINT, `${cwd}/alone.pth`);
    const alone = await succeed(["inspect", "alone.pth"], { cwd });
    assert.match(alone, /^ {2}Configuration +none: .* Name one with --config: /m);

    await succeed(["generate", "a star", "--steps", "2", "--seed", "3", "-o", "s.png"], { cwd });
    const { recipe } = JSON.parse(await succeed(["inspect", "s.png", "--json"], { cwd }));
    assert.deepEqual([recipe.prompt, recipe.seed, recipe.steps], ["a star", "3", 2]);
    assert.match(await succeed(["inspect", "s.png"], { cwd }), /^ {2}prompt +"a star"$/m);
    const other = await succeed(["inspect", `${SHAPES32}/samples.png`]);
    assert.match(other, /A PNG that does not say how it was made/);
    await fail(["inspect", "nowhere"], {
      code: 1,
      message: `Cannot load the model "nowhere": there is no such file or folder. Check the path.`,
    });
    await fail(["inspect"], {
      code: 2,
      message: `Give one file or folder, as in "mdm inspect vis_model.pth".`,
    });
  }));

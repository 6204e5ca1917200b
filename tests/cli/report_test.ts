/** mdm info, verify, bench and doctor. */

import assert from "../assert.ts";
import { fileURLToPath } from "node:url";
import { fail, inFolder, mdm, NO_GPU, SHAPES32, succeed } from "./mdm.ts";

const RECORDED = fileURLToPath(new URL("../fixtures/reference/unet_options", import.meta.url));

Deno.test("mdm info describes a model and plans it", async () => {
  const info = JSON.parse(await succeed(["info", "--json"]));
  assert.equal(info.parameters, 3_577_606);
  assert.equal(info.text.maxTokens, 32);
  assert.deepEqual(info.levels, [2, 1]);
  const { parts, tokens, size, runBytes, weightBytes } = info.plan;
  assert.deepEqual({ tokens, size }, { tokens: 32, size: 32 });
  // Every parameter once, mostly in the 16 bits of the file, and what packing adds.
  const least = 2 * info.parameters;
  assert.ok(weightBytes >= least && weightBytes < 1.05 * least, `${weightBytes}`);
  assert.ok(runBytes > parts.step.arenaBytes && parts.step.dispatches > 100);

  const { gpuBytes, hostBytes, textBytes } = info.plan;
  assert.equal(gpuBytes, weightBytes + runBytes + textBytes);
  assert.ok(hostBytes > gpuBytes);
  const low = JSON.parse(await succeed(["info", "--json", "--low-memory"]));
  assert.equal(low.plan.gpuBytes, gpuBytes - textBytes);

  const twice = JSON.parse(await succeed(["info", SHAPES32, "--json", "--batch", "2"]));
  assert.equal(twice.plan.weightBytes, weightBytes);
  assert.equal(twice.plan.parts.step.flops, 2 * parts.step.flops);
  const unguided = JSON.parse(await succeed(["info", "--json", "--guidance", "1"]));
  assert.equal(2 * unguided.plan.parts.step.flops, parts.step.flops);
});

Deno.test("mdm info says the same in words, and plans without an adapter", async () => {
  const text = await succeed(["info"]);
  assert.match(text, /^ {2}Parameters +3,577,606$/m);
  assert.match(text, /^ {2}Resolutions +32x32, 16x16$/m);
  assert.match(text, /^ {2}Step +\d+ +[\d.]+ MFLOP +[\d.]+ MiB +[\d.]+ MiB +[\d.]+ MiB +\d+$/m);
  const without = await succeed(["info"], { env: NO_GPU });
  assert.match(without, /^Planned for a software adapter, for none was found: batch 1, /m);
});

Deno.test("mdm info plans the published models without their files", async () => {
  const published = { cc12m_64x64: [], cc12m_256x256: [4], cc12m_1024x1024: [16, 4] };
  let gpuBytes = 0;
  for (const [name, ratios] of Object.entries(published)) {
    const info = JSON.parse(await succeed(["info", name, "--json"]));
    const path = `${import.meta.dirname}/../fixtures/golden/${name}.json`;
    const { parameters } = JSON.parse(await Deno.readTextFile(path));
    assert.equal(info.parameters, parameters);
    assert.deepEqual(info.levels, [...ratios, 1]);
    assert.equal(info.imageSize, Number(name.split("x").at(-1)));
    assert.equal(info.text.parameters, 1_223_527_424);
    assert.equal(info.plan.tokens, 128);
    const { weightBytes } = info.plan;
    // 16 bits each, or up to eight times as much where memory allows the form that is computed with fastest.
    assert.ok(weightBytes > 2 * parameters && weightBytes < 16 * parameters, `${weightBytes}`);
    assert.ok(info.plan.gpuBytes > gpuBytes, "each takes more than the one before");
    gpuBytes = info.plan.gpuBytes;
  }
  assert.match(
    await succeed(["info", "cc12m_1024x1024"]),
    /^cc12m_1024x1024 \(built in; assumed: weights of 16 bits, FLAN-T5 XL\)\n[^]*^ {2}Together on the GPU, at most +\d\.\d GiB$/m,
  );
});

Deno.test("mdm info of a model without a diffusion_config has no plan", async () => {
  const text = await succeed(["info", RECORDED]);
  assert.match(text, /^ {2}Diffusion +none in config\.json: it can be verified, not sampled$/m);
  assert.doesNotMatch(text, /Planned/);
});

Deno.test("mdm verify has a line a tensor, and passes", async () => {
  const text = await succeed(["verify", RECORDED]);
  const lines = text.trimEnd().split("\n");
  assert.equal(lines[0], RECORDED);
  const tensors = lines.slice(1, -1);
  for (const line of tensors) {
    assert.match(line, /^ {2}[\w.]+ +\d\.\d\de[+-]\d+ +\d\.\d\de[+-]\d+ {2}PASS$/);
  }
  assert.equal(lines.at(-1), `${tensors.length} of ${tensors.length} tensors pass.`);
  for (const name of ["out.0", "sample_eps_scaled.image"]) {
    assert.ok(tensors.some((line) => line.startsWith(`  ${name} `)), name);
  }
});

Deno.test("mdm verify fails when one weight is changed, or nothing may differ", () =>
  inFolder(async (folder) => {
    for (const { name } of Deno.readDirSync(RECORDED)) {
      await Deno.copyFile(`${RECORDED}/${name}`, `${folder}/${name}`);
    }
    const bytes = await Deno.readFile(`${folder}/weights.safetensors`);
    const header = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const { dtype, data_offsets: [begin] } = JSON.parse(
      new TextDecoder().decode(bytes.subarray(8, 8 + header)),
    )["conv_in.weight"];
    assert.equal(dtype, "F16");
    const data = new DataView(bytes.buffer, 8 + header + begin);
    data.setFloat16(0, data.getFloat16(0, true) + 0.5, true);
    await Deno.writeFile(`${folder}/weights.safetensors`, bytes);

    const { code, stdout, stderr } = await mdm(["verify", folder]);
    assert.deepEqual({ code, stderr }, { code: 1, stderr: "" });
    assert.match(stdout, /^ {2}out\.0 .* FAIL$/m);
    const strict = await mdm(["verify", RECORDED, "--tolerance", "0", "--json"]);
    assert.equal(strict.code, 1);
    const { passed, models } = JSON.parse(strict.stdout);
    assert.equal(passed, false);
    assert.equal(models[0].tensors[0].tolerance, 0);
    assert.equal((await mdm(["verify", folder, "--tolerance", "10"])).code, 0);
  }));

Deno.test("mdm verify of a folder with nothing to compare", async () => {
  await fail(["verify", SHAPES32], {
    code: 1,
    message:
      `Cannot verify "${SHAPES32}": it has neither forward.safetensors nor a sample_*.json. Give a folder of recorded numbers.`,
  });
  await fail(["verify", "nowhere"], {
    code: 1,
    message: `Cannot verify "nowhere": it is not a folder that can be read.`,
  });
  await fail(["verify"], {
    code: 2,
    message: `No folder was given: name one, as in "mdm verify golden/nested2".`,
  });
});

Deno.test("mdm verify goes on after folders that cannot be used, and fails", () =>
  inFolder(async (folder) => {
    // It has what to compare, and weights that are none.
    await Deno.copyFile(`${RECORDED}/config.json`, `${folder}/config.json`);
    await Deno.writeTextFile(`${folder}/forward.safetensors`, "");
    await Deno.writeTextFile(`${folder}/weights.safetensors`, "");
    const args = ["verify", "nowhere", folder, RECORDED];
    const { code, stdout, stderr } = await mdm(args);
    assert.equal(code, 1);
    const [first, second, ...rest] = stderr.split("\n");
    assert.equal(first, `mdm: Cannot verify "nowhere": it is not a folder that can be read.`);
    assert.match(second!, /^mdm: Cannot load ".*weights\.safetensors": .*\.$/);
    assert.deepEqual(rest, [""]);
    assert.match(stdout, /^ {2}out\.0 .* PASS$/m);
    const told = await mdm([...args, "--json"]);
    const { passed, models, problems } = JSON.parse(told.stdout);
    assert.deepEqual([told.code, passed], [1, false]);
    assert.deepEqual(models.map(({ model }: { model: string }) => model), [folder, RECORDED]);
    assert.deepEqual(
      problems.map(({ folder }: { folder: string }) => folder),
      ["nowhere", folder],
    );
  }));

Deno.test("mdm bench measures what it says", async () => {
  const args = ["bench", "--steps", "3", "--runs", "1"];
  const measured = JSON.parse(await succeed([...args, "--json"]));
  const parts: number[] = Object.values(measured.parts);
  assert.equal(parts.length, 10);
  assert.ok(parts.every((ms) => ms > 0), JSON.stringify(measured.parts));
  const sum = parts.reduce((a, b) => a + b);
  assert.ok(Math.abs(sum - measured.firstPictureMs) < 1e-6 * sum);
  const { msPerStep, gflopPerStep, gflopsPerSecond, pipelines, peakRssBytes } = measured;
  assert.ok(Math.abs(gflopPerStep / msPerStep * 1000 - gflopsPerSecond) < 1e-9 * gflopsPerSecond);
  assert.ok(peakRssBytes > 50e6 && peakRssBytes < 700e6, `${peakRssBytes}`);
  const info = JSON.parse(await succeed(["info", "--json"]));
  assert.equal(pipelines, info.plan.pipelines);

  const text = await succeed(args);
  for (const line of ["Deno starts", "Together", "A step", "Speed", "The process at its largest"]) {
    assert.match(text, new RegExp(`^  ${line} +[\\d.]+ `, "m"));
  }
});

Deno.test("mdm doctor computes, and says when it cannot", async () => {
  const report = JSON.parse(await succeed(["doctor", "--json"]));
  assert.equal(report.usable, true);
  assert.ok(report.largestError < 1e-5);
  const text = await succeed(["doctor"]);
  assert.match(text, /^ {2}A small convolution +PASS, largest error /m);
  const row = /^ {2}Keeps compiled kernels +(yes$|no, so each start takes seconds longer: set )/m;
  assert.equal(row.test(text), report.keepsCompiled !== null);
  const { code, stdout, stderr } = await mdm(["doctor"], { env: NO_GPU });
  assert.deepEqual({ code, stderr }, { code: 1, stderr: "" });
  assert.match(stdout, /^ {2}Adapter +none\n.*FAIL\nNo WebGPU adapter was found\. Install /m);
});

Deno.test("OpenGL in software is called what it is, with the remedy", async () => {
  const env = { DENO_WEBGPU_BACKEND: "gl" };
  const { backend, software, problem, usable } = JSON.parse(
    (await mdm(["doctor", "--json"], { env })).stdout,
  );
  const slow = backend === "OpenGL" && software;
  // A machine without any OpenGL has nothing else to say here.
  if (slow) {
    assert.match(problem, /^Only OpenGL in software was found, .* Install a Vulkan driver: /);
  } else assert.match(problem, /^No WebGPU adapter was found\. /);
  assert.equal(usable, slow);
  const { code, stderr } = await mdm(["generate", "a star", "--size", "33"], { env });
  const lines = stderr.trimEnd().split("\n");
  assert.equal(lines[0], `mdm: ${problem}`);
  assert.deepEqual([code, lines.length], slow ? [2, 2] : [1, 1]);
});

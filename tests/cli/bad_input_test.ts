/** What a person can get wrong, and what is said: one sentence, the right exit code, no stack, nothing written. */

import assert from "../assert.ts";
import { command, decode, fail, inFolder, names, NO_GPU, quiet, SHAPES32 } from "./mdm.ts";

const STAR = ["generate", "a star", "--steps", "2", "--seed", "1"];

/** Gives a copy of shapes32 to spoil; its path does not change, so that messages can be compared. */
async function withModel(use: (model: string) => Promise<void>): Promise<void> {
  await inFolder(async (model) => {
    for (const folder of ["text_encoder", "tokenizer"]) await Deno.mkdir(`${model}/${folder}`);
    const files = [
      "config.json",
      "model.safetensors",
      "text_encoder/config.json",
      "text_encoder/model.safetensors",
      "tokenizer/tokenizer.json",
      "tokenizer/tokenizer_config.json",
    ];
    for (const file of files) await Deno.copyFile(`${SHAPES32}/${file}`, `${model}/${file}`);
    await use(model);
  });
}

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

/** Changes the header of a safetensors file; the data stay. */
async function editHeader(path: string, edit: (header: Header) => void): Promise<void> {
  const bytes = await Deno.readFile(path);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header: Header = JSON.parse(decode(bytes.subarray(8, 8 + length)));
  edit(header);
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = new Uint8Array(8);
  new DataView(start.buffer).setBigUint64(0, BigInt(json.length), true);
  await Deno.writeFile(path, new Uint8Array([...start, ...json, ...bytes.subarray(8 + length)]));
}

Deno.test("an unknown option", async () => {
  await fail([...STAR, "--stepz", "4"], {
    code: 2,
    message: `Unknown option "--stepz". Did you mean "--steps"?`,
  });
});

Deno.test("no prompt", async () => {
  await fail(["generate", "--seed", "1"], {
    code: 2,
    message:
      `No prompt was given: say what the picture should show, as in mdm generate "a red circle".`,
  });
});

Deno.test("numbers out of range, and words that are no numbers", async () => {
  const cases: [string, string, string][] = [
    ["--steps", "0", `Option "--steps" needs an integer from 1 to 100000, not "0".`],
    ["--steps", "many", `Option "--steps" needs an integer from 1 to 100000, not "many".`],
    ["--count", "0", `Option "--count" needs an integer from 1 to 10000, not "0".`],
    ["-n", "-1", `Option "--count" needs an integer from 1 to 10000, not "-1".`],
    ["--batch", "0", `Option "--batch" needs an integer from 1 to 1024, not "0".`],
    ["--guidance", "-1", `Option "--guidance" needs a number from 0 to 1000, not "-1".`],
    [
      "--guidance-interval",
      "0.8,0.2",
      `Option "--guidance-interval" needs two numbers from 0 to 1, the smaller one first, as in "0.2,0.8", not "0.8,0.2".`,
    ],
    ["--cache", "0", `Option "--cache" needs an integer from 1 to 100000, not "0".`],
    ["--cache-error", "-1", `Option "--cache-error" needs a number of at least 0, not "-1".`],
    ["--eta", "2", `Option "--eta" needs a number from 0 to 1, not "2".`],
    [
      "--seed",
      "-1",
      `Option "--seed" needs a whole number from 0 to 2^64 - 1, not "-1".`,
    ],
    [
      "--sampler",
      "dpm",
      `Option "--sampler" needs one of "ddpm", "ddim", "dpm++", not "dpm". Did you mean "ddpm"?`,
    ],
    [
      "--threshold",
      "hard",
      `Option "--threshold" needs one of "none", "clip", "dynamic", "dynamic-if", not "hard".`,
    ],
  ];
  for (const [option, value, message] of cases) {
    await fail([...STAR, option, value], { code: 2, message });
  }
});

Deno.test("what the model cannot do", async () => {
  await fail([...STAR, "--cache", "2", "--cache-error", "0.1"], {
    code: 2,
    message: "Give --cache or --cache-error, not both.",
  });
  await fail([...STAR, "--size", "33"], {
    code: 2,
    message: "The model cannot make pictures of size 33: give a multiple of 8 up to 4096.",
  });
  await fail([...STAR, "--steps", "1001"], { code: 2, message: /^mdm: .*1001.*1000.*\n$/ });
  await fail([...STAR, "--eta", "0.5"], {
    code: 2,
    message: `Sampler "dpm++" has no eta: leave eta out or use sampler "ddim".`,
  });
});

Deno.test("a kernel that is none", async () => {
  const message =
    `Option "--kernels" needs one of subgroup, register, workgroup, winograd, not "cuda".`;
  await fail([...STAR, "--kernels", "cuda"], { code: 2, message });
  await fail(["info", "--kernels", "cuda"], { code: 2, message });
});

Deno.test("tuned kernels that are none", async () => {
  await fail([...STAR, "--tuned", `${SHAPES32}/config.json`], {
    code: 1,
    message: `Cannot load "${SHAPES32}/config.json": "mdm" is missing but must be a version.`,
  });
  await fail(["info", "--tuned", "nowhere.json"], { code: 1, message: /^mdm: .*nowhere.*\n$/ });
});

Deno.test("a folder that is not a model", async () => {
  await fail([...STAR, "--model", "nowhere"], {
    code: 1,
    message: `Cannot load the model "nowhere": there is no such file or folder. Check the path.`,
  });
  await inFolder((folder) =>
    fail([...STAR, "--model", folder], {
      code: 1,
      message:
        `Cannot load the model "${folder}": it is not a folder with a config.json and a model.safetensors. Give a model's folder.`,
    })
  );
});

Deno.test("a config.json that is not JSON, or no model's", () =>
  withModel(async (model) => {
    await Deno.writeTextFile(`${model}/config.json`, "{");
    await fail([...STAR, "--model", model], {
      code: 1,
      message:
        `Cannot load "${model}/config.json": it is not JSON (line 1, column 2). Get the file again.`,
    });
    await Deno.writeTextFile(`${model}/config.json`, "[1, 2]");
    await fail([...STAR, "--model", model], {
      code: 1,
      message: /^mdm: Cannot .*config\.json.*\n$/,
    });
  }));

Deno.test("weights that are cut short, or damaged", () =>
  withModel(async (model) => {
    const path = `${model}/model.safetensors`;
    const whole = await Deno.readFile(path);
    const spoil = async (bytes: Uint8Array, reason: string) => {
      await Deno.writeFile(path, bytes);
      const message = `Cannot load "${path}": ${reason}. Download or export it again.`;
      await fail([...STAR, "--model", model], { code: 1, message });
    };
    const half = whole.length >> 1;
    await spoil(
      whole.subarray(0, half),
      `the header says ${whole.length} bytes but the file has ${half}`,
    );
    await spoil(whole.subarray(0, 5), "it has only 5 bytes");
    await spoil(whole.with(8, 0x58), "its header is not JSON in UTF-8");
    await spoil(new Uint8Array([...whole, 0]), "its last 1 bytes belong to no tensor");
  }));

Deno.test("weights that are no numbers", () =>
  withModel(async (model) => {
    const path = `${model}/model.safetensors`;
    const bytes = await Deno.readFile(path);
    const header = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    await Deno.writeFile(path, bytes.fill(0xff, 8 + header));
    await fail([...STAR, "--model", model], {
      code: 1,
      message:
        `Cannot use the weights: tensor "inner_unet.lm_head.0.attn.norm.weight" holds values that are not finite. Get the file again.`,
    });
  }));

Deno.test("tensors that do not fit the configuration are all listed", () =>
  withModel(async (model) => {
    const path = `${model}/model.safetensors`;
    await editHeader(path, (header) => {
      header["conv_stray.weight"] = header["conv_in.weight"]!;
      delete header["conv_in.weight"];
      header["conv_out.weight"]!.shape.reverse();
    });
    await fail([...STAR, "--model", model], {
      code: 1,
      message: `Cannot load "${path}": 3 of its tensors do not fit the configuration: ` +
        `"conv_out.weight" has shape [3, 3, 32, 3] but the configuration needs [3, 32, 3, 3]; ` +
        `"conv_in.weight" is missing; ` +
        `"conv_stray.weight" is not part of the model. Use the config.json that belongs to it.`,
    });
  }));

Deno.test("a text encoder or tokenizer that is missing", () =>
  withModel(async (model) => {
    await Deno.remove(`${model}/tokenizer/tokenizer.json`);
    await fail([...STAR, "--model", model], {
      code: 1,
      message:
        `Cannot load "${model}/tokenizer/tokenizer.json": there is no such file. Name a folder with a tokenizer.json or a spiece.model.`,
    });
    await Deno.copyFile(
      `${SHAPES32}/tokenizer/tokenizer.json`,
      `${model}/tokenizer/tokenizer.json`,
    );
    await Deno.remove(`${model}/text_encoder/model.safetensors`);
    await fail([...STAR, "--model", model], {
      code: 1,
      message:
        `Cannot load "${model}/text_encoder": it has no weights (model.safetensors, or several with an index). Download the whole folder.`,
    });
  }));

Deno.test("an output that cannot be written is found before the model runs", async () => {
  const long = [...STAR, "--steps", "1000"]; // Would take a minute.
  for (const option of ["-o", "--output"]) {
    const message = `Option "${option}" needs a value: "${option} PATH".`;
    await fail([...long, option, ""], { code: 2, message });
  }
  await fail([...long, "-o", "/proc/none/x.png"], {
    code: 1,
    message: /^mdm: Cannot write "\/proc\/none\/x\.png": .*\n$/,
  });
  await fail([...long, "-n", "2", "-o", "-"], {
    code: 2,
    message: "Cannot write 2 pictures to the standard output: give a folder.",
  });
  for (const other of ["--json", "--levels"]) {
    await fail([...long, "-o", "-", other], {
      code: 2,
      message: `The image goes to the standard output, alone: leave out ${other}.`,
    });
  }
  await fail([...long, "-o", "x.bmp"], {
    code: 2,
    message: `Cannot tell the format of "x.bmp": end its name in .png, .jpg, .jpeg or .webp.`,
  });
  await fail([...long, "-n", "2", "-o", "x.png"], {
    code: 2,
    message: `Cannot write 2 pictures into the file "x.png": give a folder, "x/".`,
  });
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file.png`, "");
    await fail([...long, "-o", `${folder}/file.png/`], {
      code: 1,
      message:
        `Cannot write pictures into "${folder}/file.png/": "${folder}/file.png" is not a folder. Give another one.`,
    });
    await fail([...long, "-o", `${folder}/file.png/x.png`], {
      code: 1,
      message:
        `Cannot write "${folder}/file.png/x.png": there is no folder "${folder}/file.png". Create it first.`,
    });
    assert.deepEqual(names(folder), ["file.png"]);
  });
});

Deno.test("a file of prompts that is missing, empty or no text", () =>
  inFolder(async (folder) => {
    const path = `${folder}/prompts.txt`;
    const reads = (message: string) => fail(["generate", "--prompts", path], { code: 1, message });
    await reads(`Cannot load "${path}": there is no such file. Check the path.`);
    await Deno.writeTextFile(path, "\n# nothing\n");
    await reads(`Cannot read prompts from "${path}": it has none. Write one a line.`);
    await Deno.writeFile(path, Uint8Array.of(0x61, 0xff));
    await reads(`Cannot read prompts from "${path}": it is not text. Save it as UTF-8.`);
    await Deno.truncate(path, (1 << 20) + 1);
    await reads(
      `Cannot load "${path}": it has 1048577 bytes, too many for a file of prompts.`,
    );
  }));

Deno.test("more pictures than can be asked for at once", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/p`, "a\n".repeat(101));
    await fail(["generate", "--prompts", `${folder}/p`, "-n", "100"], {
      code: 2,
      message:
        "Cannot make 10100 pictures at once: give fewer prompts or a smaller count, for at most 10000.",
    });
  }));

Deno.test("no adapter", async () => {
  await fail(STAR, {
    code: 1,
    message: /^mdm: No WebGPU adapter was found\. Install /,
    env: NO_GPU,
  });
});

/** Starts `mdm`, sends a signal when it has said something, and waits for its end. */
async function interrupted(
  args: string[],
  { signal, cwd, on }: { signal: Deno.Signal; cwd: string; on: "stdout" | "stderr" },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = command(args, { cwd }).spawn();
  const heard = { stdout: "", stderr: "" };
  let sent = false;
  const listen = async (from: "stdout" | "stderr") => {
    for await (const bytes of child[from]) {
      heard[from] += decode(bytes);
      // Drivers may say things of their own.
      if (from === on && /mdm:|png/.test(heard[from]) && !sent) {
        sent = true;
        child.kill(signal);
      }
    }
  };
  const [{ code }] = await Promise.all([child.status, listen("stdout"), listen("stderr")]);
  return { code, stdout: heard.stdout, stderr: quiet(heard.stderr) };
}

/** A prompt over the limit is said to be cut just before the first step. */
const CUT = Array(20).fill("a red circle").join(" and ");

Deno.test("Ctrl-C and a polite kill stop between two steps and leave nothing", () =>
  inFolder(async (cwd) => {
    for (const [signal, expected] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      const args = ["generate", CUT, "--steps", "1000", "-o", "out/"];
      const { code, stdout, stderr } = await interrupted(args, { signal, cwd, on: "stderr" });
      const [, last, end] = stderr.split("\n");
      assert.equal(last, "mdm: Stopped; nothing was written.");
      assert.deepEqual({ code, stdout, end }, { code: expected, stdout: "", end: "" });
      assert.deepEqual(names(cwd), []);
    }
  }));

Deno.test("Ctrl-C after the first picture says how many there are", () =>
  inFolder(async (cwd) => {
    const args = ["generate", "a star", "-n", "9", "--batch", "1", "--seed", "1", "--steps", "10"];
    const { code, stdout, stderr } = await interrupted(args, {
      signal: "SIGINT",
      cwd,
      on: "stdout",
    });
    assert.deepEqual({ code, stderr, stdout }, {
      code: 130,
      stderr: "mdm: Stopped; 1 of 9 pictures were written.\n",
      stdout: "a-star-1.png\n",
    });
    assert.deepEqual(names(cwd), ["a-star-1.png"]);
  }));

/** Videos: mdm generate, replay and info with a model that makes them, and refusals. */

import assert from "../assert.ts";
import { Buffer } from "node:buffer";
import { chunk, chunks, SIGNATURE } from "../../src/media/png_chunks.ts";
import type { Picture } from "../../src/media/picture.ts";
import { readText } from "../../src/media/png_text.ts";
import { boxAt } from "../media/boxes.ts";
import { psnr } from "../media/frames.ts";
import { readGif } from "../media/gif_frames.ts";
import { readPng } from "../media/png_pixels.ts";
import { makeVideoModel } from "../video_model.ts";
import { command, fail, inFolder, mdm, names, SHAPES32, succeed } from "./mdm.ts";

const STAR = ["generate", "a star", "--seed", "7", "--steps", "2"];
const FRAMES = ["frame-1.png", "frame-2.png", "frame-3.png", "frame-4.png"];

/** Gives an empty folder, and a model that makes videos of 4 frames at two of its three levels. */
async function withModel(use: (cwd: string, model: string[]) => Promise<void>): Promise<void> {
  await inFolder(async (model) => {
    await makeVideoModel(model);
    await inFolder((cwd) => use(cwd, ["--model", model]));
  });
}

/** The frames of an animated PNG, read as what they are: the parts of still ones. */
function readAnimatedPng(png: Uint8Array): Picture[] {
  const parts = [...chunks(png)];
  const frames: Buffer[][] = [];
  for (const { type, data } of parts) {
    if (type === "fcTL") frames.push([]);
    if (type === "IDAT") frames.at(-1)!.push(chunk("IDAT", data));
    if (type === "fdAT") frames.at(-1)!.push(chunk("IDAT", data.subarray(4)));
  }
  const header = chunk("IHDR", parts[0]!.data);
  const end = chunk("IEND", Buffer.alloc(0));
  return frames.map((pixels) =>
    readPng(new Uint8Array(Buffer.concat([SIGNATURE, header, ...pixels, end])))
  );
}

async function readFrames(folder: string): Promise<Picture[]> {
  assert.deepEqual(names(folder), FRAMES);
  return await Promise.all(
    FRAMES.map(async (name) => readPng(await Deno.readFile(`${folder}/${name}`))),
  );
}

Deno.test("a video in each container has the frames that a folder has", () =>
  withModel(async (cwd, model) => {
    assert.equal(await succeed([...STAR, ...model, "--frames", "-o", "x"], { cwd }), "x\n");
    const frames = await readFrames(`${cwd}/x`);
    for (const { width, height } of frames) assert.deepEqual([width, height], [16, 16]);
    for (const [i, frame] of frames.slice(1).entries()) assert.notDeepEqual(frame, frames[i]);

    const written: Record<string, Uint8Array> = {};
    for (const extension of ["png", "gif", "webp", "mp4"]) {
      const name = `x.${extension}`;
      const args = [...STAR, ...model, "--fps", "5", "-o", name];
      assert.equal(await succeed(args, { cwd }), `${name}\n`);
      written[extension] = await Deno.readFile(`${cwd}/${name}`);
    }
    assert.deepEqual(readAnimatedPng(written.png!), frames);
    for (const { type, data } of chunks(written.png!)) {
      if (type === "fcTL") assert.deepEqual([...data.subarray(20, 24)], [0, 1, 0, 5]);
    }
    const gif = readGif(written.gif!);
    assert.deepEqual(gif.frames.map(({ delay }) => delay), [20, 20, 20, 20]);
    for (const [i, frame] of gif.frames.entries()) assert.ok(psnr(frame, frames[i]!) > 30);
    const webp = Buffer.from(written.webp!).toString("latin1");
    assert.equal(webp.split("ANMF").length - 1, 4);
    const track = "moov/trak/mdia/minf/stbl";
    assert.equal(boxAt(written.mp4!, `${track}/stsz`).getUint32(8), 4);
    const sizes = boxAt(written.mp4!, `${track}/stsd/avc1`);
    assert.deepEqual([sizes.getUint16(24), sizes.getUint16(26)], [16, 16]);
    assert.deepEqual(names(cwd), ["x", "x.gif", "x.mp4", "x.png", "x.webp"]);
  }));

Deno.test("a name that is chosen ends in .mp4, and takes no other video's place", () =>
  withModel(async (cwd, model) => {
    const video = [...STAR, ...model];
    assert.equal(await succeed(video, { cwd }), "a-star-7.mp4\n");
    assert.equal(await succeed(video, { cwd }), "a-star-7.mp4\n", "the same video");
    const slower = [...video, "--fps", "4"];
    assert.equal(await succeed(slower, { cwd }), "a-star-7-2.mp4\n");
    const frames = [...video, "--frames"];
    assert.equal(await succeed(frames, { cwd }), "a-star-7\n");
    assert.equal(await succeed(frames, { cwd }), "a-star-7\n", "the same frames");
    const other = [...frames, "--guidance", "1", "-n", "2", "-o", "./"];
    assert.equal(await succeed(other, { cwd }), "a-star-7-2\na-star-8\n");
    assert.deepEqual(names(cwd), [
      "a-star-7",
      "a-star-7-2",
      "a-star-7-2.mp4",
      "a-star-7.mp4",
      "a-star-8",
    ]);
  }));

Deno.test("--levels writes each level as what it is, and --json tells", () =>
  withModel(async (cwd, model) => {
    const args = [...STAR, ...model, "--levels", "--json", "--fps", "12"];
    const filesOf = async (...more: string[]) =>
      JSON.parse(await succeed([...args, ...more], { cwd })).pictures[0].files;
    const big = { width: 16, height: 16, frames: 4, fps: 12 };
    const small = { width: 8, height: 8, frames: 4, fps: 12 };
    assert.deepEqual(await filesOf("-o", "x.GIF"), [
      { path: "x.GIF", ...big },
      { path: "x-8x8x4.GIF", ...small },
      { path: "x-8x8.png", width: 8, height: 8, frames: 1 },
    ]);
    assert.equal(readGif(await Deno.readFile(`${cwd}/x-8x8x4.GIF`)).frames.length, 4);
    const still = readPng(await Deno.readFile(`${cwd}/x-8x8.png`));
    assert.deepEqual([still.width, still.height], [8, 8]);

    const folders = [...STAR, ...model, "--levels", "--frames", "-o", "y"];
    assert.equal(await succeed(folders, { cwd }), "y\ny-8x8x4\ny-8x8.png\n");
    for (const frame of await readFrames(`${cwd}/y-8x8x4`)) assert.equal(frame.width, 8);
    // The folder is there: others go into it.
    const inside = "y/a-star-7\ny/a-star-7-8x8x4\ny/a-star-7-8x8.png\n";
    assert.equal(await succeed(folders, { cwd }), inside);
  }));

Deno.test("a replay has the bytes of an animated PNG, a level of it, or one frame", () =>
  withModel(async (cwd, model) => {
    const levels = [...STAR, ...model, "--levels"];
    await succeed([...levels, "--fps", "5", "-o", "x.png"], { cwd });
    await succeed([...levels, "--frames", "-o", "f"], { cwd });
    const { fps, frame, level } = JSON.parse(
      readText(await Deno.readFile(`${cwd}/x-8x8x4.png`)).mdm!,
    );
    assert.deepEqual({ fps, frame, level }, { fps: 5, frame: undefined, level: 1 });
    for (const name of ["x", "x-8x8x4", "x-8x8", "f/frame-3", "f-8x8x4/frame-4"]) {
      const path = `${name.split("/").at(-1)}-replay.png`;
      assert.equal(await succeed(["replay", `${name}.png`, ...model], { cwd }), `${path}\n`);
      const [made, original] = [`${cwd}/${path}`, `${cwd}/${name}.png`];
      assert.deepEqual(await Deno.readFile(made), await Deno.readFile(original), name);
    }
    const gif = ["replay", "x.png", ...model, "-o", "x.gif"];
    assert.equal(await succeed(gif, { cwd }), "x.gif\n");
    assert.equal(readGif(await Deno.readFile(`${cwd}/x.gif`)).frames[0]!.delay, 20);
  }));

Deno.test("an animated PNG may be called .apng, and a video goes to the standard output", () =>
  withModel(async (cwd, model) => {
    const args = [...STAR, ...model];
    assert.equal(await succeed([...args, "-o", "new/x.apng"], { cwd }), "new/x.apng\n");
    await succeed([...args, "-o", "x.png"], { cwd });
    const png = await Deno.readFile(`${cwd}/new/x.apng`);
    assert.deepEqual(png, await Deno.readFile(`${cwd}/x.png`));
    const again = JSON.parse(
      await succeed(["replay", "new/x.apng", ...model, "-o", "y.apng", "--json"], { cwd }),
    );
    assert.equal(again.isSame, true);
    assert.deepEqual(await Deno.readFile(`${cwd}/y.apng`), png);
    const { stdout } = await command([...args, "-o", "-"], { cwd }).output();
    await succeed([...args, "-o", "x.mp4"], { cwd });
    assert.deepEqual(stdout, await Deno.readFile(`${cwd}/x.mp4`));
  }));

Deno.test("mdm info tells the frames of each level", () =>
  withModel(async (cwd, model) => {
    const { frames } = JSON.parse(await succeed(["info", model[1]!, "--json"], { cwd }));
    assert.deepEqual(frames, [4, 4, 1]);
    assert.match(
      await succeed(["info", model[1]!], { cwd }),
      /^ {2}Resolutions +32x32 \(4 frames of 16x16\), 16x16 \(4 frames of 8x8\), 8x8$/m,
    );
    assert.deepEqual(JSON.parse(await succeed(["info", SHAPES32, "--json"])).frames, [1, 1]);
  }));

Deno.test("what videos cannot be is said before the model runs", () =>
  withModel(async (_, model) => {
    const long = [...STAR, ...model, "--steps", "1000"]; // Would take a minute.
    const refused = (args: string[], message: string) =>
      fail([...long, ...args], { code: 2, message });
    await refused(
      ["-o", "x.jpg"],
      `Cannot write a video as "x.jpg": end its name in .mp4, .gif, .webp or .png.`,
    );
    await refused(
      ["-o", "x.mov"],
      `Cannot tell the format of "x.mov": end its name in .mp4, .gif, .webp or .png.`,
    );
    await refused(
      ["-n", "2", "-o", "x.mp4"],
      `Cannot write 2 videos into the file "x.mp4": give a folder, "x/".`,
    );
    await refused(
      ["-n", "2", "--frames", "-o", "x.1"],
      `Cannot write the frames of 2 videos into the folder "x.1": give a folder, "x.1/".`,
    );
    await refused(
      ["--frames", "-o", "x.mp4"],
      `Cannot write a folder of frames as "x.mp4": leave out ".mp4" or --frames.`,
    );
    await refused(
      ["--frames", "--fps", "8"],
      "A folder of frames has no rate: leave out --fps or --frames.",
    );
    for (const fps of ["0", "121", "7.5"]) {
      await refused(
        ["--fps", fps],
        `Option "--fps" needs an integer from 1 to 120, not "${fps}".`,
      );
    }
    await refused(
      ["--frames", "-o", "-"],
      "Frames are several files: give a folder instead, or leave out --frames.",
    );
  }));

Deno.test("a model of pictures makes no videos", async () => {
  for (const extension of ["mp4", "gif"]) {
    await fail([...STAR, "-o", `x.${extension}`], {
      code: 2,
      message:
        `Cannot write a picture as "x.${extension}": end its name in .png, .jpg, .jpeg or .webp; the model makes no videos.`,
    });
  }
  for (const [option, ...value] of [["--fps", "8"], ["--frames"]] as const) {
    await fail([...STAR, option, ...value], {
      code: 2,
      message: `The model makes pictures, not videos: leave out ${option}.`,
    });
  }
});

Deno.test("frames that the model does not make are not replayed", () =>
  withModel(async (cwd, model) => {
    await succeed([...STAR, ...model, "--frames", "-o", "f"], { cwd });
    const path = `${cwd}/f/frame-4.png`;
    const png = Buffer.from(await Deno.readFile(path));
    const at = png.indexOf('"frame":4');
    png.write("9", at + '"frame":'.length);
    const length = png.readUInt32BE(33);
    const text = chunk("iTXt", png.subarray(41, 41 + length));
    const rest = png.subarray(33 + 12 + length);
    await Deno.writeFile(path, Buffer.concat([png.subarray(0, 33), text, rest]));
    const { code, stderr } = await mdm(["replay", path, ...model], { cwd });
    assert.equal(code, 1);
    assert.equal(
      stderr,
      `mdm: Cannot replay "${path}": it is of a video, and the model has 4 frames there. Give the picture as mdm wrote it.\n`,
    );
  }));

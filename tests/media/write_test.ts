import assert from "node:assert/strict";
import { checkWritable, writeAtomically, writeFolderAtomically } from "../../src/media/write.ts";

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function names(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
}

const BYTES = Uint8Array.of(1, 2, 3);

Deno.test("writeAtomically() writes a file, replaces one, and leaves nothing else", () =>
  inFolder(async (folder) => {
    const path = `${folder}/${"n".repeat(250)}.png`;
    await writeAtomically(path, Uint8Array.of(9, 9, 9, 9));
    await writeAtomically(path, BYTES);
    assert.deepEqual(new Uint8Array(await Deno.readFile(path)), BYTES);
    assert.equal(names(folder).length, 1);
  }));

Deno.test("writeAtomically() writes the file behind a link", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/real`);
    await Deno.writeFile(`${folder}/real/a.png`, Uint8Array.of(0));
    await Deno.symlink(`${folder}/real/a.png`, `${folder}/link.png`);
    await writeAtomically(`${folder}/link.png`, BYTES);
    assert.deepEqual(new Uint8Array(await Deno.readFile(`${folder}/real/a.png`)), BYTES);
    assert.deepEqual(names(folder), ["link.png", "real"]);
  }));

Deno.test("writeAtomically() names the missing folder", () =>
  inFolder(async (folder) => {
    const path = `${folder}/none/a.png`;
    await assert.rejects(writeAtomically(path, BYTES), {
      name: "MdmError",
      message: `Cannot write "${path}": there is no folder "${folder}/none". Create it first.`,
    });
    assert.deepEqual(names(folder), []);
  }));

Deno.test("writeAtomically() leaves nothing behind when the last step fails", () =>
  inFolder(async (folder) => {
    // No system allows so long a name, and the temporary file's own name is short.
    const path = `${folder}/${"n".repeat(300)}.png`;
    await assert.rejects(writeAtomically(path, BYTES), {
      name: "MdmError",
      message: /^Cannot write .* Choose another path\.$/,
    });
    assert.deepEqual(names(folder), []);
  }));

Deno.test("writeAtomically() refuses a folder and a device", () =>
  inFolder(async (folder) => {
    for (const path of [folder, "/dev/null"]) {
      await assert.rejects(writeAtomically(path, BYTES), {
        name: "MdmError",
        message: `Cannot write "${path}": it is not a file. Give a file's path.`,
      });
    }
    assert.deepEqual(names(folder), []);
  }));

Deno.test({
  name: "writeAtomically() says that writing is not permitted",
  permissions: { read: true, write: false },
  fn: async () => {
    await assert.rejects(writeAtomically("out/a.png", BYTES), {
      name: "MdmError",
      message:
        'Cannot write "out/a.png": writing in "out" is not permitted. Choose another folder.',
    });
  },
});

Deno.test("checkWritable() says what writing would, and leaves what is there", () =>
  inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/a.png`, BYTES);
    await checkWritable(`${folder}/a.png`);
    await checkWritable(`${folder}/b.png`);
    for (const path of [folder, `${folder}/none/a.png`, `${folder}/a.png/b.png`]) {
      const message = await checkWritable(path).then(() => "", (error) => error.message);
      assert.match(message, /^Cannot write ".*": .*\.$/);
      await assert.rejects(writeAtomically(path, BYTES), { name: "MdmError", message });
    }
    assert.deepEqual(names(folder), ["a.png"]);
    assert.deepEqual(new Uint8Array(await Deno.readFile(`${folder}/a.png`)), BYTES);
  }));

Deno.test("writeFolderAtomically() writes all files, and nothing where something is", () =>
  inFolder(async (folder) => {
    const files = new Map([["1.png", BYTES], ["2.png", Uint8Array.of(7)]]);
    await writeFolderAtomically(`${folder}/a`, files);
    assert.deepEqual(names(`${folder}/a`), ["1.png", "2.png"]);
    assert.deepEqual(new Uint8Array(await Deno.readFile(`${folder}/a/2.png`)), Uint8Array.of(7));
    await Deno.writeFile(`${folder}/b`, BYTES);
    for (const path of [`${folder}/a`, `${folder}/b`, `${folder}/none/a`]) {
      await assert.rejects(writeFolderAtomically(path, new Map([["1.png", BYTES]])), {
        name: "MdmError",
        message: /^Cannot write ".*": .*\.$/,
      });
    }
    assert.deepEqual(names(folder), ["a", "b"]);
    assert.deepEqual(names(`${folder}/a`), ["1.png", "2.png"]);
  }));

Deno.test("writeFolderAtomically() leaves nothing when a file cannot be written", () =>
  inFolder(async (folder) => {
    const files = new Map([["1.png", BYTES], ["none/2.png", BYTES]]);
    await assert.rejects(writeFolderAtomically(`${folder}/a`, files), { name: "MdmError" });
    assert.deepEqual(names(folder), []);
  }));

import assert from "../assert.ts";
import {
  checkWritable,
  makeAtomically,
  makeParents,
  tryToWrite,
  writeAtomically,
  writeFolderAtomically,
} from "../../src/files/write_file.ts";
import { inFolder, names } from "../cli/mdm.ts";

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

Deno.test("writeAtomically() writes what links lead to, though it is not there yet", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/real`);
    await Deno.symlink("real/next.png", `${folder}/link.png`);
    await Deno.symlink("a.png", `${folder}/real/next.png`);
    await checkWritable(`${folder}/link.png`);
    await writeAtomically(`${folder}/link.png`, BYTES);
    assert.deepEqual(new Uint8Array(await Deno.readFile(`${folder}/real/a.png`)), BYTES);
    assert.equal(await Deno.readLink(`${folder}/link.png`), "real/next.png");
    assert.deepEqual(names(`${folder}/real`), ["a.png", "next.png"]);
    // Where that cannot be written, it is said before.
    await Deno.symlink("none/a.png", `${folder}/lost.png`);
    await assert.rejects(checkWritable(`${folder}/lost.png`), { name: "MdmError" });
    await assert.rejects(writeAtomically(`${folder}/lost.png`, BYTES), { name: "MdmError" });
  }));

Deno.test("writeAtomically() takes a link's place where it is not to follow it", () =>
  inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/real.png`, Uint8Array.of(0));
    for (const target of ["real.png", "nowhere.png"]) {
      await Deno.symlink(target, `${folder}/link.png`);
      await writeAtomically(`${folder}/link.png`, BYTES, { followLinks: false });
      assert.ok(Deno.lstatSync(`${folder}/link.png`).isFile);
      await Deno.remove(`${folder}/link.png`);
    }
    assert.deepEqual(new Uint8Array(await Deno.readFile(`${folder}/real.png`)), Uint8Array.of(0));
    assert.deepEqual(names(folder), ["real.png"]);
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

Deno.test("makeAtomically() gives a file its name once it is whole, or leaves nothing", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    const make = async (temporary: string) => {
      await Deno.writeFile(temporary, BYTES);
      assert.deepEqual(names(folder).length, 1);
      assert.notEqual(temporary, path);
    };
    await makeAtomically(path, make);
    assert.deepEqual(names(folder), ["a"]);
    await assert.rejects(
      makeAtomically(`${folder}/b`, async (temporary) => {
        await Deno.mkdir(temporary);
        await Deno.writeFile(`${temporary}/inside`, BYTES);
        throw new RangeError("half way");
      }),
      RangeError,
    );
    // Linking does not replace what is there.
    const link = makeAtomically(path, (at) => Deno.writeFile(at, BYTES), Deno.link);
    await assert.rejects(link, Deno.errors.AlreadyExists);
    assert.deepEqual(names(folder), ["a"]);
  }));

Deno.test("makeParents() makes folders for a file, and checkWritable() knows that they will be", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a/b/x.png`;
    await checkWritable(path, { parents: true });
    assert.deepEqual(names(folder), []);
    await makeParents(path);
    await makeParents(path);
    await writeAtomically(path, BYTES);
    for (const wrong of [`${path}/y.png`, `${path}/c/y.png`]) {
      await assert.rejects(checkWritable(wrong, { parents: true }), { name: "MdmError" });
      await assert.rejects(makeParents(wrong), { name: "MdmError" });
    }
    assert.deepEqual(names(`${folder}/a/b`), ["x.png"]);
  }));

Deno.test("tryToWrite() gives what the system says, and leaves nothing", () =>
  inFolder(async (folder) => {
    assert.equal(await tryToWrite(folder, 1000), null);
    assert.ok(await tryToWrite(`${folder}/none`) instanceof Deno.errors.NotFound);
    assert.deepEqual(names(folder), []);
  }));

import assert from "../assert.ts";
import { readFile } from "../../src/files/read_file.ts";
import { inFolder } from "../cli/mdm.ts";

const LIMIT = { largest: 4, what: "a thing" } as const;

Deno.test("readFile() gives all bytes of a file that is as large as may be", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    for (const text of ["", "abcd"]) {
      await Deno.writeTextFile(path, text);
      assert.equal(new TextDecoder().decode(await readFile(path, LIMIT)), text);
    }
    const large = crypto.getRandomValues(new Uint8Array(1 << 16));
    await Deno.writeFile(path, large);
    assert.deepEqual(await readFile(path, { ...LIMIT, largest: 1 << 16 }), large);
  }));

Deno.test("readFile() takes no memory for a file that is too large", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    await Deno.writeTextFile(path, "abcde");
    await assert.rejects(readFile(path, LIMIT), {
      name: "MdmError",
      message: `Cannot load "${path}": it has 5 bytes, too many for a thing.`,
    });
    // More than there is memory: no disk is needed for it.
    await Deno.truncate(path, 2 ** 42);
    await assert.rejects(readFile(path, LIMIT), { name: "MdmError" });
  }));

Deno.test("readFile() says why a file cannot be read, and keeps what the system said", () =>
  inFolder(async (folder) => {
    await assert.rejects(readFile(`${folder}/none`, LIMIT), (error: Error) => {
      assert.equal(
        error.message,
        `Cannot load "${folder}/none": there is no such file. Check the path.`,
      );
      return error.cause instanceof Deno.errors.NotFound;
    });
    await assert.rejects(readFile(folder, LIMIT), {
      message: `Cannot load "${folder}": it is not a file. Give a file's path.`,
    });
  }));

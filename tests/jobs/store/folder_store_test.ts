import assert from "../../assert.ts";
import { mock } from "node:test";
import { MdmError, UsageError } from "../../../src/errors.ts";
import { openFolderStore } from "../../../src/jobs/store/folder_store.ts";
import type { ResultStore } from "../../../src/jobs/store/store.ts";
import { Unavailable } from "../../../src/jobs/unavailable.ts";

/** Runs with a store in a folder of its own; "outside" lies beside it. */
async function withStore(run: (store: ResultStore, folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/outside`);
    await using store = await openFolderStore(`${folder}/results/all`);
    await run(store, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function read(store: ResultStore, job: string, name: string) {
  const file = await store.get(job, name);
  return file && { bytes: file.bytes, text: await new Response(file.body).text() };
}

const text = (content: string) => new TextEncoder().encode(content);

Deno.test("a file is read as it was written, and written over", () =>
  withStore(async (store, folder) => {
    await store.put("job", "0.png", text("first"), "image/png");
    await store.put("job", "0.png", text("other"), "image/png");
    await store.put("job", "empty", text(""), "image/png");
    assert.deepEqual(await read(store, "job", "0.png"), { bytes: 5, text: "other" });
    assert.deepEqual(await read(store, "job", "empty"), { bytes: 0, text: "" });
    assert.equal(await store.link("job", "0.png"), null);
    const names = Array.from(Deno.readDirSync(`${folder}/results/all/job`), ({ name }) => name);
    assert.deepEqual(names.sort(), ["0.png", "empty"]);
  }));

Deno.test("a file that is being read is whole although it is written over", () =>
  withStore(async (store) => {
    await store.put("job", "0.png", text("x".repeat(1 << 20)), "image/png");
    const file = await store.get("job", "0.png");
    await store.put("job", "0.png", text("y"), "image/png");
    assert.equal(await new Response(file!.body).text(), "x".repeat(1 << 20));
  }));

Deno.test("a body that is given up closes its file", () =>
  withStore(async (store) => {
    await store.put("job", "0.png", text("x".repeat(1 << 20)), "image/png");
    await (await store.get("job", "0.png"))!.body.cancel();
  }));

Deno.test("a part is read, and no more than a piece behind it", () =>
  withStore(async (store, folder) => {
    const all = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
    await store.put("job", "0.png", all, "image/png");
    const part = async (first: number, last: number) => {
      const file = await store.get("job", "0.png", { first, last });
      if (file === null) return null;
      assert.equal(file.bytes, all.length);
      return new Uint8Array(await new Response(file.body).arrayBuffer());
    };
    for (
      const [first, last] of [
        [0, 0],
        [1, 2],
        [65_535, 65_536],
        [100_000, 250_000],
        [299_999, 299_999],
        [0, 299_999],
      ] as const
    ) {
      assert.deepEqual(await part(first, last), all.slice(first, last + 1), `${first}-${last}`);
    }
    assert.equal(await part(299_999, 300_000), null, "it ends within the part");
    assert.equal(await part(300_000, 300_001), null, "it ends before the part");
    assert.equal(await store.get("job", "1.png", { first: 0, last: 0 }), null);

    // A file of a terabyte, of which the disk has nothing.
    await Deno.truncate(`${folder}/results/all/job/0.png`, 2 ** 40);
    const middle = await store.get("job", "0.png", { first: 2 ** 39, last: 2 ** 39 + 9 });
    assert.deepEqual(
      new Uint8Array(await new Response(middle!.body).arrayBuffer()),
      new Uint8Array(10),
    );
  }));

Deno.test("a part that is given up closes its file", () =>
  withStore(async (store) => {
    await store.put("job", "0.png", text("x".repeat(1 << 20)), "image/png");
    await (await store.get("job", "0.png", { first: 5, last: 900_000 }))!.body.cancel();
    const reader = (await store.get("job", "0.png", { first: 5, last: 900_000 }))!.body.getReader();
    await reader.read();
    await reader.cancel();
  }));

Deno.test("what is missing is null", () =>
  withStore(async (store, folder) => {
    assert.equal(await store.get("job", "0.png"), null);
    await store.put("job", "0.png", text("x"), "image/png");
    assert.equal(await store.get("job", "1.png"), null);
    await Deno.writeTextFile(`${folder}/results/all/file`, "");
    assert.equal(await store.get("file", "0.png"), null);
  }));

Deno.test("removing takes all files of a job, and only those", () =>
  withStore(async (store) => {
    await store.put("one", "0.png", text("x"), "image/png");
    await store.put("one", "1.png", text("x"), "image/png");
    await store.put("two", "0.png", text("x"), "image/png");
    await store.remove("one");
    await store.remove("one");
    await store.remove("never");
    assert.equal(await store.get("one", "0.png"), null);
    assert.equal(await store.get("one", "1.png"), null);
    assert.equal((await read(store, "two", "0.png"))?.text, "x");
  }));

Deno.test("paths are refused as ids and names", () =>
  withStore(async (store) => {
    for (const [job, name] of [["..", "a"], ["a", "../../outside/a"], ["a/b", "c"]] as const) {
      await assert.rejects(store.put(job, name, text("x"), "image/png"), UsageError);
      await assert.rejects(store.get(job, name), UsageError);
      assert.throws(() => store.link(job, name), UsageError);
    }
    await assert.rejects(store.remove(".."), UsageError);
  }));

Deno.test("links do not lead out of the folder", () =>
  withStore(async (store, folder) => {
    const results = `${folder}/results/all`;
    await Deno.writeTextFile(`${folder}/outside/secret`, "secret");
    await Deno.symlink(`${folder}/outside`, `${results}/linked`);
    await store.put("job", "0.png", text("x"), "image/png");
    await Deno.symlink(`${folder}/outside/secret`, `${results}/job/1.png`);
    await Deno.symlink(`${folder}/outside/new`, `${results}/job/2.png`);

    assert.equal(await store.get("linked", "secret"), null);
    assert.equal(await store.get("job", "1.png"), null);
    await assert.rejects(store.put("linked", "new", text("x"), "image/png"), MdmError);
    await assert.rejects(store.put("job", "1.png", text("x"), "image/png"), MdmError);
    await store.put("job", "2.png", text("x"), "image/png"); // Takes the link's place.
    await store.remove("linked");
    await store.remove("job");

    const outside = Array.from(Deno.readDirSync(`${folder}/outside`), ({ name }) => name);
    assert.deepEqual(outside, ["secret"]);
    assert.equal(await Deno.readTextFile(`${folder}/outside/secret`), "secret");
  }));

Deno.test("a folder that cannot be made is said", async () => {
  const file = await Deno.makeTempFile();
  try {
    await assert.rejects(openFolderStore(`${file}/results`), (error: Error) => {
      assert(error instanceof MdmError);
      assert.match(error.message, /^Cannot write "/);
      return true;
    });
  } finally {
    await Deno.remove(file);
  }
});

/** All that can be done with a store has to fail with one sentence, as what passes. */
async function isAway(store: ResultStore, folder: string, reason: string): Promise<void> {
  const away = new Unavailable(`Cannot use the results in "${folder}": ${reason}`);
  await assert.rejects(store.check(true), away);
  await assert.rejects(store.check(false), away);
  await assert.rejects(store.put("job", "0.png", text("x"), "image/png"), away);
  await assert.rejects(store.get("job", "0.png"), away);
  await assert.rejects(store.has("job", "0.png"), away);
  await assert.rejects(store.remove("job"), away);
}

const REMOVED = "it was removed, or the disk that it is on. Bring it back, or start mdm anew.";

Deno.test("it says what it is called, whether a file is there, and that it can be used", () =>
  withStore(async (store, folder) => {
    assert.equal(store.name, `the results in "${await Deno.realPath(folder)}/results/all"`);
    await store.check(true);
    await store.check(false);
    assert.equal(await store.has("job", "0.png"), false);
    await store.put("job", "0.png", text("x"), "image/png");
    assert.equal(await store.has("job", "0.png"), true);
    assert.equal(await store.has("job", "1.png"), false);
    await assert.rejects(store.has("..", "a"), UsageError);
    const left = Array.from(Deno.readDirSync(`${folder}/results/all`), ({ name }) => name);
    assert.deepEqual(left.sort(), [".mdm-results", "job"]);
  }));

Deno.test("a folder that was moved away with the one around it is away, and used again when it is back", () =>
  withStore(async (store, folder) => {
    const root = `${await Deno.realPath(folder)}/results`;
    await store.put("job", "0.png", text("x"), "image/png");
    await Deno.rename(root, `${folder}/away`);
    await isAway(store, `${root}/all`, REMOVED);
    await Deno.rename(`${folder}/away`, root);
    assert.equal((await read(store, "job", "0.png"))?.text, "x");
    await store.check(true);
  }));

Deno.test("a folder that was removed alone is made again", () =>
  withStore(async (store, folder) => {
    await store.put("job", "0.png", text("x"), "image/png");
    await Deno.remove(`${folder}/results/all`, { recursive: true });
    assert.equal(await store.get("job", "0.png"), null);
    await store.put("job", "1.png", text("y"), "image/png");
    assert.equal((await read(store, "job", "1.png"))?.text, "y");
  }));

Deno.test("what is seen where a disk was mounted is no place for results, nor is a file", () =>
  withStore(async (store, folder) => {
    const root = `${await Deno.realPath(folder)}/results/all`;
    await Deno.rename(root, `${folder}/away`);
    await Deno.symlink("/proc", root); // A folder of another disk.
    await isAway(store, root, REMOVED);
    await Deno.remove(root);
    await Deno.writeTextFile(root, "");
    await isAway(store, root, REMOVED);
    await Deno.remove(root);
    await Deno.rename(`${folder}/away`, root);
    await store.check(true);
  }));

Deno.test("a disk that is full is said to be so, until there is room for what found none", () =>
  withStore(async (store, folder) => {
    const root = `${await Deno.realPath(folder)}/results/all`;
    let room = 1 << 17;
    const { writeFile } = Deno;
    const { mock: full } = mock.method(
      Deno,
      "writeFile",
      async (path: string, bytes: Uint8Array, options?: Deno.WriteFileOptions) => {
        if (bytes.length > room) throw new Error("No space left on device (os error 28)");
        await writeFile(path, bytes, options);
      },
    );
    try {
      const away = new Unavailable(
        `Cannot use the results in "${root}": its disk is full. Make room.`,
      );
      await store.check(true);
      const large = text("x".repeat(room + 1));
      await assert.rejects(store.put("job", "0.png", large, "image/png"), away);
      assert.equal(await store.get("job", "0.png"), null);
      await assert.rejects(store.check(true), away);
      await store.check(false);
      room *= 2;
      await store.check(true);
      await store.put("job", "0.png", large, "image/png");
      room = 0;
      await assert.rejects(store.check(true), away);
    } finally {
      full.restore();
    }
    assert.deepEqual(Array.from(Deno.readDirSync(`${root}/job`), ({ name }) => name), ["0.png"]);
  }));

Deno.test("what is wrong with the folder of one job alone is no outage", () =>
  withStore(async (store, folder) => {
    await Deno.writeTextFile(`${folder}/results/all/job`, "");
    await assert.rejects(store.put("job", "0.png", text("x"), "image/png"), (error: Error) => {
      assert.ok(error instanceof MdmError && !(error instanceof Unavailable));
      return true;
    });
    await store.put("other", "0.png", text("x"), "image/png");
  }));

import assert from "node:assert/strict";
import { MdmError, UsageError } from "../../../src/errors.ts";
import { openFolderStore } from "../../../src/jobs/store/folder_store.ts";
import type { ResultStore } from "../../../src/jobs/store/store.ts";

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

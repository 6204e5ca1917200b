import assert from "../assert.ts";
import { VersionReader } from "../../src/jobs/model_version.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { makeVideoModel } from "../video_model.ts";

async function versionOf(folder: string) {
  using source = await ModelSource.open(folder);
  const reader = new VersionReader(source);
  return { reader, first: await reader.version() };
}

Deno.test("a version is known by the contents of a model's files, wherever they are", async () => {
  const folders = [await Deno.makeTempDir(), await Deno.makeTempDir()] as const;
  try {
    for (const folder of folders) await makeVideoModel(folder);
    const [one, other] = await Promise.all(folders.map(versionOf));
    assert.match(one!.first.id, /^[0-9a-f]{64}$/);
    assert.equal(one!.first.id, other!.first.id);
    const written = new Date(Date.UTC(2100, 0));
    await Deno.utime(`${folders[0]}/config.json`, written, written);
    const touched = await versionOf(folders[0]);
    assert.deepEqual(touched.first, { id: one!.first.id, changedAt: written.getTime() });
    await Deno.writeTextFile(`${folders[0]}/config.json`, "\n", { append: true });
    assert.notEqual((await versionOf(folders[0])).first.id, one!.first.id);
    assert.equal(await one!.reader.version(), one!.first);
  } finally {
    for (const folder of folders) await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a version that cannot be read now may be later", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await makeVideoModel(folder);
    using source = await ModelSource.open(folder);
    const reader = new VersionReader(source);
    await Deno.rename(`${folder}/config.json`, `${folder}/away`);
    await assert.rejects(reader.version(), /config\.json/);
    await Deno.rename(`${folder}/away`, `${folder}/config.json`);
    assert.equal((await reader.version()).id, (await versionOf(folder)).first.id);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("who needs no version any more reads no further", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await makeVideoModel(folder);
    using source = await ModelSource.open(folder);
    const reader = new VersionReader(source);
    const version = reader.version();
    await reader[Symbol.asyncDispose]();
    await assert.rejects(version, { name: "AbortError" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

import assert from "node:assert/strict";
import { UsageError } from "../../src/errors.ts";
import { openStore } from "../../src/jobs/open_store.ts";

Deno.test("an address without a scheme is a folder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using store = await openStore(`${folder}/results`);
    await store.put("job", "0.png", new Uint8Array(3), "image/png");
    assert.equal((await Deno.readFile(`${folder}/results/job/0.png`)).length, 3);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("other addresses are refused", async () => {
  for (const address of ["http://host/results", "gs://bucket", "S3://bucket"]) {
    await assert.rejects(openStore(address), UsageError, address);
  }
});

import assert from "../../assert.ts";
import { UsageError } from "../../../src/errors.ts";
import { openStore } from "../../../src/jobs/store/open_store.ts";

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

Deno.test("an address of S3 is a bucket, and takes its keys from the environment", async () => {
  const keys = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" };
  await using store = await openStore("s3://pictures/a", new Map(Object.entries(keys)));
  const link = await store.link("job", "0.png");
  assert(link!.startsWith("https://pictures.s3.us-east-1.amazonaws.com/a/job/0.png?X-Amz-"));
  await assert.rejects(openStore("s3://pictures/a", new Map()), UsageError);
});

Deno.test("other addresses are refused", async () => {
  for (const address of ["http://host/results", "gs://bucket", "S3://bucket"]) {
    await assert.rejects(openStore(address), UsageError, address);
  }
});

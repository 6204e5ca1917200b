import assert from "../../assert.ts";
import { webhookBody } from "../../../src/server/protocols/webhook_body.ts";
import { aJob } from "../../jobs/queue/a_job.ts";
import { FakeJobs } from "../fake_jobs.ts";

const FILE = {
  ...{ name: "0.png", picture: 0, level: 0, seed: "7", type: "image/png" },
  ...{ width: 32, height: 32, frames: 1, bytes: 3 },
};

// deno-lint-ignore no-explicit-any
async function bodyOf(origin: string, publicUrl: string | null = null): Promise<any> {
  const job = aJob({ origin, files: [FILE] });
  const body = webhookBody(new FakeJobs(), { publicUrl, sign: (path) => path });
  return JSON.parse(JSON.stringify(await body(job)));
}

Deno.test("webhooks say what the protocol says that the job came by", async () => {
  assert.equal((await bodyOf("plain")).state, "succeeded");
  assert.equal((await bodyOf("openai")).state, "succeeded");
  assert.equal((await bodyOf("cog")).status, "succeeded");
  assert.equal((await bodyOf("runpod")).status, "COMPLETED");
});

Deno.test("addresses of files have the host that clients use, where it is known", async () => {
  const [file] = (await bodyOf("plain", "https://pictures.example")).files;
  assert.equal(file.url, "https://pictures.example/jobs/job/files/0.png");
  assert.equal((await bodyOf("plain")).files[0].url, "/jobs/job/files/0.png");
});

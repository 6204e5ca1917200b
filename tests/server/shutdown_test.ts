import assert from "../assert.ts";
import { ServeProcess } from "./serve_process.ts";

const JOB = { prompt: "a red circle on a blue background", seed: 7, steps: 60, levels: true };

async function post(url: string, body: unknown, headers: Record<string, string> = {}) {
  const answer = await fetch(`${url}/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, await answer.clone().text());
  return await answer.json();
}

async function jobOf(url: string, id: string) {
  return await (await fetch(`${url}/jobs/${id}`)).json();
}

async function fileOf(url: string, id: string, name: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(`${url}/jobs/${id}/files/${name}`)).arrayBuffer());
}

/** Waits until a job has done some steps, or ended. */
async function under(url: string, id: string): Promise<void> {
  const events = await fetch(`${url}/jobs/${id}/events`);
  let text = "";
  for await (const piece of events.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (/"progress":\{"step":[1-9]/.test(text)) return;
  }
}

Deno.test("SIGTERM keeps a job as far as it is, and the next process ends it with the same bytes", async () => {
  const data = await Deno.makeTempDir();
  try {
    const args = ["serve", "--port", "0", "--data", data, "--grace", "0"];
    let id: string;
    {
      await using first = ServeProcess.start(...args);
      const url = await first.url();
      // Taken before the model is there.
      ({ id } = await post(url, JOB));
      await under(url, id);
      const status = await first.stop("SIGTERM");
      assert.equal(status.code, 0, first.said);
    }
    assert.deepEqual(
      [...Deno.readDirSync(`${data}/results/${id}`)].map(({ name }) => name),
      ["checkpoint-0.safetensors"],
    );
    await using second = ServeProcess.start(...args);
    const url = await second.url();
    const whole = await post(url, JOB, { prefer: "wait=60" });
    const resumed = await jobOf(url, id);
    assert.equal(whole.state, "succeeded", JSON.stringify(whole));
    assert.equal(resumed.state, "succeeded", JSON.stringify(resumed));
    assert.equal(resumed.attempts, 1);
    for (const name of ["0.png", "0-16x16.png"]) {
      assert.deepEqual(await fileOf(url, id, name), await fileOf(url, whole.id, name));
    }
    assert.equal((await second.stop("SIGTERM")).code, 0);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("with grace enough a job ends before the process does, which takes no more of them", async () => {
  const data = await Deno.makeTempDir();
  try {
    await using server = ServeProcess.start("serve", "--port", "0", "--data", data);
    const url = await server.url();
    const { id } = await post(url, { ...JOB, steps: 30 });
    await under(url, id);
    const events = (await fetch(`${url}/jobs/${id}/events`)).text();
    events.catch(() => {});
    const ended = server.stop("SIGTERM");
    await server.saying("Stopping");
    const refused = await fetch(`${url}/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(JOB),
    });
    assert.equal(refused.status, 503, await refused.text());
    const told = await events;
    assert.match(told, /event: end/);
    assert.match(told, /"state":"succeeded"/);
    assert.equal((await ended).code, 0);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

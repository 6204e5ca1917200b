/** A process that works on a queue, for tests: `queue_process.ts hold|work ADDRESS LEASE_MS`. */
import { openQueue } from "../../../src/jobs/queue/open_queue.ts";

const [task, address, leaseMs] = Deno.args;
const options = { limit: 1000, leaseMs: Number(leaseMs), maxAttempts: 2 };

if (task === "hold") await hold();
else await work();

/** Takes a job, says so, and then does nothing until it is killed. */
async function hold(): Promise<void> {
  const queue = await openQueue(address!, options);
  console.log((await queue.claim())!.token);
  setInterval(() => {}, 1000);
}

/** Says that it is ready, ends twenty jobs once its input has ended, and says which those were. */
async function work(): Promise<void> {
  await using queue = await openQueue(address!, options);
  console.log("ready");
  await Array.fromAsync(Deno.stdin.readable);
  const outcome = { state: "succeeded", files: [], error: null, timings: null } as const;
  for (let i = 0; i < 20; i++) {
    const lease = (await queue.claim())!;
    if (await queue.finish(lease, outcome)) console.log(lease.job.id);
  }
}

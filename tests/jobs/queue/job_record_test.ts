/** What becomes of a job: what no test of a queue looks at. */
import assert from "../../assert.ts";
import {
  begun,
  canceled,
  checkSame,
  ended,
  expired,
  type JobRecord,
  lost,
  queued,
  released,
  retried,
} from "../../../src/jobs/queue/job_record.ts";
import { JobConflict } from "../../../src/jobs/queue/queue.ts";
import { aJob } from "./a_job.ts";
import { fileOf, requestOf } from "./queue_conformance.ts";

const WAITING: JobRecord = queued({ id: "a", request: requestOf("a"), createdAt: 1 });
const RUNNING: JobRecord = begun(WAITING, { token: "token", until: 9, now: 2 });

/** A record whose job is different. */
function withJob(record: JobRecord, different: Partial<JobRecord["job"]>): JobRecord {
  return { ...record, job: { ...record.job, ...different } };
}

Deno.test("a job says whether its deadline has passed or it has waited too long", () => {
  const messageOf = (times: { beginBy: number; deadline: number }) =>
    expired(withJob(WAITING, times), 100).job.error?.message;
  const waited = "The job waited as long as jobs may: try again later.";
  const passed = messageOf({ beginBy: 200, deadline: 99 });
  assert.match(passed!, /deadline/);
  assert.equal(messageOf({ beginBy: 50, deadline: 99 }), passed);
  assert.equal(messageOf({ beginBy: 99, deadline: 200 }), waited);
  assert.equal(messageOf({ beginBy: 99, deadline: 100 }), waited);
});

Deno.test("pictures that were made before a job was canceled, lost or late are still its own", () => {
  const files = [fileOf("0.png")];
  const given = withJob(released(RUNNING, [], 3), { files });
  const running = withJob(RUNNING, { files });
  const ends = [
    canceled(given, 4),
    released({ ...running, canceling: true }, [], 4),
    lost({ ...running, canceling: true }, 2, 4),
    lost(running, 1, 4),
    expired(given, 4),
  ];
  assert.deepEqual(
    ends.map(({ job: { state, files, finishedAt } }) => [state, files, finishedAt]),
    ["canceled", "canceled", "canceled", "failed", "failed"].map((state) => [state, files, 4]),
  );
});

Deno.test("a job that has ended has nothing left of what it was stopped at", () => {
  const stopped = begun(released(RUNNING, ["saved"], 3), { token: "next", until: 9, now: 4 });
  assert.deepEqual(stopped.checkpoints, ["saved"]);
  const { job: { state, files, error, timings } } = withJob(RUNNING, aJob());
  const outcome = { state, files, error, timings } as Parameters<typeof ended>[1];
  const end = ended({ ...stopped, canceling: true }, { ...outcome, state: "failed" }, 5);
  const { checkpoints, canceling, leaseUntil } = end;
  assert.deepEqual({ checkpoints, canceling, leaseUntil }, {
    ...{ checkpoints: [], canceling: false, leaseUntil: null },
  });
  assert.deepEqual(retried(end, 6).checkpoints, []);
});

Deno.test("what conflicts is named: the id, or the idempotency key", () => {
  const conflict = (known: string, added: string) => {
    const other = queued({ id: added, request: requestOf("b"), createdAt: 1, idempotencyKey: "k" });
    const job = { ...WAITING.job, id: known };
    try {
      checkSame({ ...WAITING, job }, other);
    } catch (error) {
      assert.ok(error instanceof JobConflict);
      return error.message;
    }
    return assert.fail("They are not the same.");
  };
  assert.match(conflict("a", "a"), /^There is a job "a" with another request/);
  assert.match(conflict("a", "b"), /^The idempotency key "k" belongs to another request/);
});

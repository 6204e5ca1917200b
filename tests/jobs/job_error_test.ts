import assert from "../assert.ts";
import { mock } from "node:test";
import { MdmError, UsageError } from "../../src/errors.ts";
import { jobError, JobFailed } from "../../src/jobs/job_error.ts";

Deno.test("clients are told what they can do something about, and of a defect only that it is one", () => {
  const { mock: said } = mock.method(console, "error", () => {});
  const refused = { code: "refused", message: "Not here." } as const;
  assert.deepEqual(jobError(new JobFailed(refused)), refused);
  assert.deepEqual(jobError(new UsageError("Give one.")), {
    code: "request",
    message: "Give one.",
  });
  assert.deepEqual(jobError(new MdmError("It is full.")), {
    code: "failed",
    message: "It is full.",
  });
  assert.equal(said.callCount(), 0);
  const defect = new TypeError("x is undefined");
  assert.deepEqual(jobError(defect), {
    code: "failed",
    message: "The image could not be made: the worker has a defect.",
  });
  assert.deepEqual(said.calls.map(({ arguments: [what] }) => what), [defect]);
  said.restore();
});

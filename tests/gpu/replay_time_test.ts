import assert from "../assert.ts";
import type { Recording } from "../../src/gpu/recording.ts";
import { replayTime } from "../../src/gpu/replay_time.ts";

/** A recording on a device whose clock gives these times, and what was asked of it. */
function timed(stamps: readonly number[]) {
  const asked = { replays: 0, passes: [] as [number, number][], destroyed: 0 };
  const disposable = { destroy: () => asked.destroyed++ };
  const encoder = {
    beginComputePass: ({ timestampWrites }: { timestampWrites: GPUComputePassTimestampWrites }) => {
      const { beginningOfPassWriteIndex, endOfPassWriteIndex } = timestampWrites;
      asked.passes.push([beginningOfPassWriteIndex!, endOfPassWriteIndex!]);
      return { end() {} };
    },
    resolveQuerySet() {},
    finish() {},
  };
  const device = {
    createQuerySet: () => disposable,
    createBuffer: () => disposable,
    createCommandEncoder: () => encoder,
    queue: { submit() {} },
  };
  const read = () => Promise.resolve(BigUint64Array.from(stamps, BigInt).buffer);
  const recording = { gpu: { device, read }, replay: () => asked.replays++ };
  return { asked, recording: recording as unknown as Recording };
}

Deno.test("the time of a replay is that of the fastest pass, shared by its replays", async () => {
  // Nothing is lost of clocks that have run for long.
  const began = 2 ** 50;
  const stamps = [0, 9000, 20000, 24000, 30000, 36000].map((time) => began + time);
  const once = timed(stamps);
  assert.equal(await replayTime(once.recording, 1), 4000);
  assert.equal(once.asked.replays, 3);
  assert.deepEqual(once.asked.passes, [[0, 1], [2, 3], [4, 5]]);
  assert.equal(once.asked.destroyed, 2);
  const often = timed(stamps);
  assert.equal(await replayTime(often.recording, 10), 400);
  assert.equal(often.asked.replays, 30);
});

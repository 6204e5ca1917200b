import type { Recording } from "./recording.ts";

/** Passes of which the fastest counts: the first one may compile, and what else the device does only makes them slower. */
const PASSES = 3;

/**
 * Nanoseconds that one replay takes by the device's own clock: waiting for a device takes far longer than most replays.
 *
 * @param replays In a pass; more for what is short.
 */
export async function replayTime(recording: Recording, replays: number): Promise<number> {
  const { gpu } = recording;
  const count = 2 * PASSES;
  using stack = new DisposableStack();
  const querySet = stack.adopt(
    gpu.device.createQuerySet({ type: "timestamp", count }),
    (set) => set.destroy(),
  );
  const times = stack.adopt(
    gpu.device.createBuffer({
      size: count * 8,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    }),
    (buffer) => buffer.destroy(),
  );
  const encoder = gpu.device.createCommandEncoder();
  for (let i = 0; i < count; i += 2) {
    const timestampWrites = {
      querySet,
      beginningOfPassWriteIndex: i,
      endOfPassWriteIndex: i + 1,
    };
    const pass = encoder.beginComputePass({ timestampWrites });
    for (let replay = 0; replay < replays; replay++) recording.replay(pass);
    pass.end();
  }
  encoder.resolveQuerySet(querySet, 0, count, times, 0);
  gpu.device.queue.submit([encoder.finish()]);
  const stamps = new BigUint64Array(await gpu.read(times));
  const passes = Array.from(
    { length: PASSES },
    (_, i) => Number(stamps[2 * i + 1]! - stamps[2 * i]!),
  );
  return Math.min(...passes) / replays;
}

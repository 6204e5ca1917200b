import type { Dispatch } from "./kernel.ts";
import { pipelineKey, type Pipelines, Recording } from "./recording.ts";

/** What of a call decides how it is compiled. */
export type CompiledCall = Pick<Dispatch<unknown>, "kernel" | "constants" | "params">;

/**
 * Makes the pipelines that calls need, and has the driver compile the new ones; that is not waited for.
 *
 * Mesa's software driver compiles a pipeline when it is first dispatched, on a thread of its own: so each is dispatched here
 * over no workgroups, which runs nothing. All are one submit: the next one waits for it. Other drivers have compiled by then, and
 * do nothing.
 *
 * @throws {MdmError} When the device refuses a shader.
 */
export async function compileAhead(
  pipelines: Pipelines,
  calls: readonly CompiledCall[],
): Promise<void> {
  const missing = new Map(
    calls.map((call) => [pipelineKey(call), call] as const)
      .filter(([key]) => !pipelines.has(key)),
  );
  if (missing.size === 0) return;
  const dispatches = [...missing.values()].map(({ kernel, constants, params }) => {
    return { kernel, constants, params, buffers: {}, workgroups: [0, 0, 0] as const };
  });
  using recording = await Recording.make(pipelines, dispatches);
  recording.submit();
}

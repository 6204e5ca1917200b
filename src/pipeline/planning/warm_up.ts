import type { ThresholdType } from "../../diffusion/config.ts";
import { type SamplerName, SAMPLERS } from "../../diffusion/samplers/mod.ts";
import { THRESHOLDS } from "../../diffusion/thresholds.ts";
import { compileAhead, type CompiledCall } from "../../gpu/compile_ahead.ts";
import type { KernelPolicy } from "../../gpu/kernel_policy.ts";
import { pipelineKey, type Pipelines } from "../../gpu/recording.ts";
import { textCapacities } from "../../model/text_inputs.ts";
import type { DescribedModel } from "../models/built_in.ts";
import { estimate, type PlannedEncoder } from "./estimate.ts";
import { type GenerateRequest, resolveRequest, sessionShape } from "../request.ts";

/**
 * A call of each pipeline that any request for pictures of one size needs: with and without guidance, with every sampler and
 * threshold, for texts of every length. The batch does not matter, since kernels are chosen by one row. Nothing is read.
 *
 * @param encoder Null: texts are encoded elsewhere.
 * @param size The model's own unless given.
 * @throws {MdmError} When the model cannot be sampled, or not at that size.
 */
export function callsToCompile(
  model: DescribedModel,
  encoder: PlannedEncoder | null,
  policy: KernelPolicy,
  size?: number,
): CompiledCall[] {
  const plans = (request: Partial<GenerateRequest>, tokens: number, texts = encoder) => {
    const whole = { prompt: "", seed: 0, ...size !== undefined && { size }, ...request };
    const resolved = resolveRequest(whole, model.config, model.diffusion);
    const shape = sessionShape(resolved, model, { slots: 1, tokens });
    const { plans } = estimate(model, texts, shape, policy);
    return Object.values(plans).flat().filter((plan) => plan !== null);
  };
  const all = [
    ...textCapacities(model.maxTokens).flatMap((tokens) => plans({}, tokens)),
    ...requests(model).flatMap((request) => plans(request, model.maxTokens, null)),
  ];
  const calls = all.flatMap(({ calls }) => calls);
  return [...new Map(calls.map((call) => [pipelineKey(call), call])).values()];
}

/** Requests with each choice that decides about pipelines; one choice does not change what another one adds. */
function requests({ config }: DescribedModel): Partial<GenerateRequest>[] {
  return [
    { guidance: 1 },
    ...(Object.keys(SAMPLERS) as SamplerName[]).map((sampler) => ({ sampler })),
    // Steps without guidance within an interval are those of guidance 1.
    ...config.kind === "unet" ? [] : [{ cache: { every: 2 } }, { cache: { error: 1 } }],
    ...(Object.keys(THRESHOLDS) as ThresholdType[]).map((threshold) => ({ threshold })),
  ];
}

/**
 * Compiles pipelines one by one, each to its end; yields how many are compiled.
 *
 * @throws {MdmError} When the device refuses one.
 */
export async function* compileAll(
  pipelines: Pipelines,
  calls: readonly CompiledCall[],
): AsyncGenerator<number, void, void> {
  for (const [i, call] of calls.entries()) {
    await compileAhead(pipelines, [call]);
    await pipelines.gpu.finish();
    yield i + 1;
  }
}

import { readJson } from "../checkpoint/json.ts";
import { Safetensors } from "../checkpoint/safetensors.ts";
import { parseSamplerConfig, type SamplerConfig } from "../diffusion/config.ts";
import { type SamplingPlan, samplingPlan } from "../diffusion/plan.ts";
import { Session } from "../diffusion/session.ts";
import { imageShapes, SESSION_TENSORS } from "../diffusion/session_graphs.ts";
import { MdmError } from "../errors.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { channelsFirst, channelsLast, compare, type Comparison } from "./comparison.ts";
import { writeMicros, writeText } from "../model/network_inputs.ts";
import { recordedTexts, type Runnable } from "./forward.ts";

/** The settings of a recorded run, `sample_*.json`. */
interface RecordedRun {
  readonly sampler: "ddpm" | "ddim";
  readonly eta: number | null;
  readonly steps: number;
  readonly guidance: number;
  readonly config: SamplerConfig;
  readonly outputScale: number;
}

/**
 * Replays a recorded sampling run on its recorded noise, and compares every x0, every x_t and the picture.
 *
 * @param name `sample_*.json` without ".json"; the tensors lie beside it.
 */
export async function verifySampling(
  runnable: Runnable,
  folder: string,
  name: string,
  tolerance: number,
): Promise<Comparison[]> {
  const { network } = runnable;
  const run = parseRun(await readJson(`${folder}/${name}.json`), `${folder}/${name}.json`);
  using recorded = await Safetensors.open(`${folder}/${name}.safetensors`);
  const plan = samplingPlan({
    config: run.config,
    nestRatio: network.config.kind === "unet" ? null : network.config.nestRatio,
    sampler: run.sampler,
    steps: run.steps,
    ...run.eta !== null && { eta: run.eta },
  });
  const [slots = 1, , size = 1] = recorded.tensors.get("noise.initial.0")?.shape ?? [];
  const guided = run.guidance !== 1;
  const texts = await recordedTexts(network, recorded);
  const tokens = Math.max(1, ...texts.map(({ length }) => length));
  using session = await Session.make(network, {
    slots,
    guided: guided ? "always" : "never",
    inner: "always",
    tokens,
    steps: plan.times.length,
    size,
    threshold: plan.threshold,
    imageScales: plan.levels.map(({ imageScale }) => imageScale),
    outputScale: run.outputScale,
    noise: plan.usesNoise ? "given" : "none",
  }, runnable);

  session.writeTables(plan);
  // The reference has the rows without text first.
  const ordered = guided ? [...texts.slice(slots), ...texts.slice(0, slots)] : texts;
  writeText(network, ordered, session.tensors);
  writeMicros(network, session.tensors);
  const load = async (name: string, target: Tensor) => {
    if (!recorded.tensors.has(name)) return;
    target.write(channelsLast(await recorded.readFloat32(name), recorded.tensors.get(name)!.shape));
  };
  const levels = imageShapes(network, slots, size).entries().toArray();
  for (const [level] of levels) {
    await load(`noise.initial.${level}`, session.tensor(SESSION_TENSORS.latent(level)));
  }
  session.condition();

  const results: Comparison[] = [];
  const check = async (recordedName: string, tensorName: string, finish = (x: number) => x) => {
    if (!recorded.tensors.has(recordedName)) return;
    const tensor = session.tensor(tensorName);
    const ours = channelsFirst(await tensor.read(), tensor.shape).map(finish);
    const expected = await recorded.readFloat32(recordedName);
    results.push(compare(`${name}.${recordedName}`, ours, expected, tolerance));
  };
  for (const step of plan.times.keys()) {
    if (plan.usesNoise) {
      for (const [level] of levels) {
        await load(`noise.step${step}.${level}`, session.tensor(SESSION_TENSORS.noise(level)));
      }
    }
    const state = { tableRow: step, draw: 0, seed: 0n, guidance: run.guidance };
    session.writeSlots(Array.from({ length: slots }, () => state));
    session.step();
    for (const [level] of levels) {
      await check(`step${step}.x0.${level}`, SESSION_TENSORS.x0(level));
      await check(`step${step}.x_t.${level}`, SESSION_TENSORS.latent(level));
    }
  }
  await check("image", SESSION_TENSORS.latent(0), clipped(plan));
  return results;
}

/** The last thing that happens to a picture. */
function clipped(plan: SamplingPlan): (x: number) => number {
  const scale = plan.levels[0]!.outputScale;
  return (x) => Math.max(-1, Math.min(1, x * scale));
}

function parseRun(json: unknown, source: string): RecordedRun {
  const run = json as Record<string, unknown>;
  const config = parseSamplerConfig(run.sampler_config);
  const guidance = Number(run.guidance_scale);
  const eta = run.ddim_eta as number | null;
  if (!Number.isFinite(guidance) || !Number.isInteger(run.steps)) {
    throw new MdmError(`Cannot verify with "${source}": it needs "steps" and "guidance_scale".`);
  }
  return {
    sampler: eta === null ? "ddpm" : "ddim",
    eta,
    // Without resampled steps the reference takes every step of the schedule.
    steps: run.resample_steps === false ? config.numDiffusionSteps : Number(run.steps),
    guidance,
    config,
    outputScale: Number(run.model_output_scale ?? 0),
  };
}

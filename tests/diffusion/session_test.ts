import assert from "node:assert/strict";
import { parseSamplerConfig } from "../../src/diffusion/config.ts";
import { samplingPlan } from "../../src/diffusion/plan.ts";
import { Session, type SlotState } from "../../src/diffusion/session.ts";
import {
  FILM_STEPS,
  SESSION_TENSORS,
  type SessionShape,
} from "../../src/diffusion/session_graphs.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { Weights } from "../../src/gpu/weights.ts";
import { writeMicros, writeText } from "../../src/model/network_inputs.ts";
import type { RowText } from "../../src/model/text_inputs.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { random } from "../graph/run.ts";

const MODEL = "tests/fixtures/reference/unet_options";
const TOKENS = 5;
const STEPS = 2 * FILM_STEPS + 3;

const plan = samplingPlan({
  config: parseSamplerConfig({ num_diffusion_steps: 100, schedule_type: "COSINE" }),
  nestRatio: null,
  sampler: "dpm++",
  steps: STEPS,
});

/** A text of its own for each seed. */
function textOf(width: number, seed: number): RowText {
  return { features: random(TOKENS * width, seed), length: TOKENS, mask: null };
}

/** The steps that each image takes, whichever it begins with. */
const TAKEN = STEPS - 3;

/** Samples an image in each slot, from some step of the run on, and after its last from the first again. */
async function sample(
  model: ModelSource,
  runnable: { pipelines: Pipelines; weights: Weights },
  images: readonly { readonly seed: number; readonly from: number }[],
  { guided = "always", guidanceAt = () => 3, beforeStep = () => {} }: {
    readonly guided?: SessionShape["guided"];
    readonly guidanceAt?: (step: number) => number;
    readonly beforeStep?: (session: Session) => void;
  } = {},
): Promise<Float32Array[]> {
  const { network, config: { conditioningFeatureDim: width } } = model;
  const slots = images.length;
  using session = await Session.make(network, {
    slots,
    guided,
    inner: "always",
    tokens: TOKENS,
    steps: STEPS,
    size: 8,
    threshold: plan.threshold,
    imageScales: [1],
    outputScale: 0,
    noise: "none",
  }, runnable);
  const rows = guided === "never" ? [0] : [0, 10];
  const texts = rows.flatMap((other) => images.map(({ seed }) => textOf(width, seed + other)));
  session.writeTables(plan);
  writeText(network, texts, session.tensors);
  writeMicros(network, session.tensors);
  const states = (step: number): SlotState[] =>
    images.map(({ seed, from }) => {
      return {
        tableRow: (from + step) % STEPS,
        draw: 0,
        seed: BigInt(seed),
        guidance: guidanceAt(step),
      };
    });
  session.condition();
  session.writeSlots(states(0));
  session.start();
  for (let step = 0; step < TAKEN; step++) {
    beforeStep(session);
    session.writeSlots(states(step));
    session.step();
  }
  const latents = await session.tensor(SESSION_TENSORS.latent(0)).read();
  const size = latents.length / slots;
  return images.map((_, slot) => latents.slice(slot * size, (slot + 1) * size));
}

Deno.test("scales and shifts that are made for many steps at once are those of each step", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  using model = await ModelSource.open(MODEL);
  using weights = new Weights(gpu, model.file);
  const runnable = { pipelines, weights };
  // The second begins again at the 11th step, so that what is made for many steps ends elsewhere for each.
  const images = [{ seed: 1, from: 0 }, { seed: 2, from: STEPS - 10 }];
  const together = await sample(model, runnable, images);
  assert.notDeepEqual(together[0], together[1]);
  for (const [slot, image] of images.entries()) {
    assert.deepEqual(await sample(model, runnable, [image]), [together[slot]]);
    // Tables that are written anew make all anew.
    const beforeStep = (session: Session) => session.writeTables(plan);
    const anew = await sample(model, runnable, [image], { beforeStep });
    assert.deepEqual(anew, [together[slot]]);
    assert.ok(together[slot]!.every(Number.isFinite));
  }
});

Deno.test("a step of the rows with text only is one with guidance 1", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  using model = await ModelSource.open(MODEL);
  using weights = new Weights(gpu, model.file);
  const images = [{ seed: 1, from: 0 }, { seed: 2, from: 3 }];
  const run = (guided: SessionShape["guided"], guidanceAt: (step: number) => number) =>
    sample(model, { pipelines, weights }, images, { guided, guidanceAt });
  const now = (step: number) => step % 5 === 1 ? 3 : 1;
  const sometimes = await run("sometimes", now);
  assert.deepEqual(sometimes, await run("always", now));
  assert.notDeepEqual(sometimes, await run("always", () => 3));
  assert.deepEqual(await run("sometimes", () => 1), await run("never", () => 1));
});

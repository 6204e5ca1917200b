import assert from "../assert.ts";
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
import { TENSORS } from "../../src/model/network.ts";
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

/** A session of two slots, without a step, with counts of what is submitted. */
async function idle(
  model: ModelSource,
  runnable: { pipelines: Pipelines; weights: Weights },
  guided: SessionShape["guided"],
) {
  const session = await Session.make(model.network, {
    slots: 2,
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
  const { films, steps } = session.executables;
  const submitted = { films: 0, steps: steps.map(() => 0) };
  films.submit = () => submitted.films++;
  steps.forEach(({ executable }, i) => executable.submit = () => submitted.steps[i]!++);
  const write = (tableRows: number[], guidances = [3, 3]) =>
    session.writeSlots(tableRows.map((tableRow, slot) => {
      return { tableRow, draw: 0, seed: BigInt(slot), guidance: guidances[slot]! };
    }));
  /** Which row of the table of scales and shifts each row of the model reads. */
  const filmRows = async () => {
    const { buffer } = session.tensor(TENSORS.film);
    return [...new Uint32Array(await runnable.pipelines.gpu.read(buffer))];
  };
  return { session, submitted, write, filmRows };
}

Deno.test("a session's tables: rows of runs, and the scales and shifts that belong to them", async (t) => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  using model = await ModelSource.open(MODEL);
  using weights = new Weights(gpu, model.file);
  const { session, submitted, write, filmRows } = await idle(
    model,
    { pipelines, weights },
    "sometimes",
  );
  using _ = session;
  const run = { times: plan.times.slice(0, 3), levels: plan.levels };
  const few = {
    ...run,
    levels: run.levels.map((level) => ({ ...level, coefficients: level.coefficients.slice(0, 3) })),
  };

  await t.step("a run's coefficients are written from its first row on", async () => {
    session.writeTables(few, 0);
    const before = await session.tensor(SESSION_TENSORS.coefficients).read();
    session.writeTables(few, 5);
    const after = await session.tensor(SESSION_TENSORS.coefficients).read();
    const width = after.length / STEPS;
    assert.deepEqual(after.slice(5 * width, 8 * width), before.slice(0, 3 * width));
    assert.deepEqual(after.slice(0, 5 * width), before.slice(0, 5 * width));
    assert.ok(before.slice(0, width).some((x) => x !== 0));
  });

  await t.step("each row of the model reads its own slot's and step's", async () => {
    write([0, 7]);
    assert.equal(submitted.films, 1);
    assert.deepEqual(await filmRows(), [0, 1, 2, 3].map((row) => row * FILM_STEPS));
    write([1, 9]);
    assert.equal(submitted.films, 1);
    assert.deepEqual(await filmRows(), [1, 18, 33, 50]);
  });

  await t.step("they last for so many steps", () => {
    write([FILM_STEPS - 1, 7 + FILM_STEPS - 1]);
    assert.equal(submitted.films, 1);
    write([FILM_STEPS, 7 + FILM_STEPS - 1]);
    assert.equal(submitted.films, 2);
  });

  await t.step("they are made again when one of their steps is written anew, and only then", () => {
    // Of the slots' steps from 16 and from 7 on.
    const written = (first: number) => {
      session.writeTables(few, first);
      const { films } = submitted;
      write([FILM_STEPS, 7]);
      return submitted.films - films;
    };
    assert.equal(written(0), 0);
    assert.equal(written(4), 0);
    assert.equal(written(5), 1);
    assert.equal(written(FILM_STEPS + FILM_STEPS - 1), 1);
    assert.equal(written(FILM_STEPS + FILM_STEPS), 0);
  });

  await t.step("they are made again for slots whose text has changed", async () => {
    const { films } = submitted;
    write([FILM_STEPS + 2, 9]);
    assert.equal(submitted.films, films);
    session.condition([1]);
    write([FILM_STEPS + 2, 9]);
    assert.equal(submitted.films, films + 1);
    assert.deepEqual(await filmRows(), [2, FILM_STEPS, 2 * FILM_STEPS + 2, 3 * FILM_STEPS]);
  });

  await t.step("a step runs the rows without text only if any image is guided", () => {
    assert.deepEqual(session.executables.steps.map(({ guided }) => guided), [true, false]);
    const ran = (guidances: number[]) => {
      submitted.steps.fill(0);
      write([FILM_STEPS + 2, 9], guidances);
      session.step();
      return [...submitted.steps];
    };
    assert.deepEqual(ran([3, 3]), [1, 0]);
    assert.deepEqual(ran([1, 3]), [1, 0]);
    assert.deepEqual(ran([1, 1]), [0, 1]);
  });
});

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

/** Steps that use again what inner UNets gave, beside those that run them. */
import assert from "../assert.ts";
import { parseSamplerConfig } from "../../src/diffusion/config.ts";
import { samplingPlan } from "../../src/diffusion/plan.ts";
import { Session } from "../../src/diffusion/session.ts";
import { SESSION_TENSORS, type SessionShape } from "../../src/diffusion/session_graphs.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { Weights } from "../../src/gpu/weights.ts";
import { writeMicros, writeText } from "../../src/model/network_inputs.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { random } from "../graph/run.ts";
import { makeVideoModel } from "../video_model.ts";

/** A session of two images with everything written but where they are. */
async function makeSession(
  { network, config }: ModelSource,
  runnable: { pipelines: Pipelines; weights: Weights },
  shape: Pick<SessionShape, "guided" | "inner">,
): Promise<Session> {
  const plan = samplingPlan({
    config: parseSamplerConfig({ num_diffusion_steps: 100, threshold_function: "DYNAMIC" }),
    nestRatio: config.nestRatio,
    sampler: "ddim",
    steps: 4,
    eta: 0.5,
  });
  const session = await Session.make(network, {
    ...shape,
    slots: 2,
    tokens: 3,
    steps: 4,
    size: 32,
    threshold: plan.threshold,
    imageScales: plan.levels.map(({ imageScale }) => imageScale),
    outputScale: 0,
    noise: "seeded",
  }, runnable);
  session.writeTables(plan);
  const width = config.conditioningFeatureDim;
  const rows = shape.guided === "never" ? [1, 2] : [1, 2, 3, 4];
  const texts = rows.map((seed) => {
    return { features: random(3 * width, seed), length: 3, mask: null };
  });
  writeText(network, texts, session.tensors);
  writeMicros(network, session.tensors);
  session.condition();
  return session;
}

const slots = (step: number, guidance = 3) =>
  [1n, 2n].map((seed) => ({ tableRow: step, draw: step, seed, guidance }));

/** The latents of every level. */
async function read(session: Session): Promise<Float32Array[]> {
  const { levels } = session.network;
  const latents = Array.from({ length: levels }, (_, level) => SESSION_TENSORS.latent(level));
  return await Promise.all(latents.map((name) => session.tensor(name).read()));
}

/** Calls with each nested model: two levels, and three with frames. */
async function eachModel(
  use: (model: ModelSource, runnable: { pipelines: Pipelines; weights: Weights }) => Promise<void>,
): Promise<void> {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  const folder = await Deno.makeTempDir();
  try {
    await makeVideoModel(folder);
    for (const path of ["weights/shapes32", folder]) {
      using model = await ModelSource.open(path);
      using weights = new Weights(gpu, model.file);
      await use(model, { pipelines, weights });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const SHAPES = [
  { inner: "sometimes", guided: "always" },
  { inner: "sometimes", guided: "never" },
  { inner: "measured", guided: "sometimes" },
] as const;

Deno.test("using again what running would give anew has the bits of running", () =>
  eachModel(async (model, runnable) => {
    for (const shape of SHAPES) {
      using session = await makeSession(model, runnable, shape);
      const write = (latents: readonly Float32Array[]) =>
        latents.forEach((data, level) => session.tensor(SESSION_TENSORS.latent(level)).write(data));
      // Of a session that is guided sometimes, a step that is not.
      const guidance = shape.guided === "always" ? 3 : 1;
      session.writeSlots(slots(0, guidance));
      session.start();
      const before = await read(session);
      session.step();
      const stepped = await read(session);
      assert.notDeepEqual(before, stepped);
      write(before);
      session.step({ inner: false });
      assert.deepEqual(await read(session), stepped, JSON.stringify(shape));
      // At another step they would give something else.
      session.writeSlots(slots(1, guidance));
      session.step({ inner: false });
      const reused = await read(session);
      write(stepped);
      session.step();
      const ran = await read(session);
      ran.forEach((data, level) => assert.notDeepEqual(reused[level], data));
      assert.ok([...reused, ...ran].every((data) => data.every(Number.isFinite)));
    }
  }));

Deno.test("a step that runs no inner UNet has less to do, in memory that is there", () =>
  eachModel(async (model, runnable) => {
    using session = await makeSession(model, runnable, { inner: "sometimes", guided: "always" });
    using plain = await makeSession(model, runnable, { inner: "always", guided: "always" });
    const [whole, outer] = session.executables.steps.map(({ executable }) => executable.plan);
    assert.equal(whole!.flops, plain.executables.steps[0]!.executable.plan.flops);
    assert.ok(outer!.flops < whole!.flops && outer!.calls.length < whole!.calls.length / 2);
    const inner = [...outer!.weights].flatMap(({ parameters }) => parameters)
      .filter(({ name }) => name.startsWith("inner_unet"));
    assert.deepEqual(inner, []);
    const kept = session.tensor(SESSION_TENSORS.inner);
    assert.ok(session.bytes <= plain.bytes + kept.bytes);
  }));

Deno.test("the change is that of the first image with its text, from one run to the next", () =>
  eachModel(async (model, runnable) => {
    using session = await makeSession(model, runnable, { inner: "measured", guided: "sometimes" });
    session.writeSlots(slots(0));
    session.start();
    session.step();
    const first = await session.tensor(SESSION_TENSORS.inner).read();
    for (const [step, guidance] of [[1, 1], [2, 3]] as const) {
      const before = step === 1 ? first : await session.tensor(SESSION_TENSORS.inner).read();
      session.writeSlots(slots(step, guidance));
      session.step();
      const change = await session.readChange();
      const after = await session.tensor(SESSION_TENSORS.inner).read();
      const size = after.length / 4;
      const norm = (values: Float32Array) => Math.hypot(...values.subarray(0, size));
      const expected = norm(after.map((x, i) => x - before[i]!)) / norm(after);
      assert.ok(Math.abs(change - expected) < 1e-5 * expected, `${change}, ${expected}`);
      assert.ok(change > 0);
    }
  }));

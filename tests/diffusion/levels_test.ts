import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";
import { parseSamplerConfig } from "../../src/diffusion/config.ts";
import { levelSchedules } from "../../src/diffusion/levels.ts";
import { gammas, shiftedGammas } from "../../src/diffusion/schedule.ts";

const deepFloyd = { num_diffusion_steps: 1000, schedule_type: "DEEPFLOYD" };

const scales = (json: Record<string, unknown>, nestRatio: number[] | null) =>
  levelSchedules(parseSamplerConfig({ ...deepFloyd, ...json }), nestRatio)
    .map(({ imageScale, outputScale }) => [imageScale, outputScale]);

Deno.test("shifted: each level has its own schedule, outermost first, and no image scale", () => {
  const json = { schedule_shifted: true, schedule_shifted_power: 2, rescale_signal: 3 };
  const config = parseSamplerConfig({ ...deepFloyd, ...json });
  const base = gammas(config);
  assert.deepEqual(levelSchedules(config, [16, 4]).map((level) => level.gammas), [
    shiftedGammas(base, 16, 2),
    shiftedGammas(base, 4, 2),
    base,
  ]);
  assert.deepEqual(scales(json, [16, 4]), [[1, 1], [1, 1], [1, 1]]);
});

Deno.test("not shifted: one schedule, images divided by the level's scale", () => {
  const config = parseSamplerConfig({ ...deepFloyd, rescale_signal: 3 });
  const all = levelSchedules(config, [16, 4]);
  for (const level of all) assert.deepEqual(level.gammas, gammas(config));
  assert.deepEqual(scales({ rescale_signal: 3 }, [16, 4]), [[16, 16], [4, 4], [1, 1]]);
});

Deno.test("a plain UNet has one level, scaled by rescale_signal and never shifted", () => {
  assert.deepEqual(scales({ rescale_signal: 3, schedule_shifted: true }, null), [[3, 3]]);
  assert.deepEqual(scales({}, null), [[1, 1]]);
});

Deno.test("a schedule that reaches 0 or stands still is refused", () => {
  const bad = [
    { num_diffusion_steps: 1000, beta_start: 0.5, beta_end: 0.9 },
    { num_diffusion_steps: 10, beta_start: 1e-12, beta_end: 0.02 },
    { ...deepFloyd, rescale_schedule: 2, schedule_shifted_power: 1e6 },
    { ...deepFloyd, rescale_schedule: 2, schedule_shifted_power: -1e6 },
  ];
  for (const json of bad) {
    assert.throws(
      () => levelSchedules(parseSamplerConfig(json), null),
      MdmError,
      JSON.stringify(json),
    );
  }
  assert.throws(
    () => levelSchedules(parseSamplerConfig(bad[1]), null),
    new MdmError(
      `Cannot sample with this noise schedule: gamma is 1 at timestep 0 and 1 at 1, but must fall ` +
        `and stay above 0. Correct the schedule fields of "sampler_config".`,
    ),
  );
});

import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";
import { parseDiffusionConfig, parseSamplerConfig } from "../../src/diffusion/config.ts";

const prefix = "Cannot read the diffusion configuration: ";

Deno.test("an empty configuration has the reference's defaults", () => {
  assert.deepEqual(parseDiffusionConfig({}, true), {
    samplerConfig: {
      numDiffusionSteps: 32,
      scheduleType: "DDPM",
      predictionType: "EPSILON",
      betaStart: 0.0001,
      betaEnd: 0.02,
      thresholdFunction: "CLIP",
      rescaleSchedule: 1,
      rescaleSignal: null,
      scheduleShifted: false,
      scheduleShiftedPower: 1,
    },
    modelOutputScale: 0,
  });
});

Deno.test("every field of the reference is read or accepted", () => {
  const json = {
    sampler_config: {
      num_diffusion_steps: 1000,
      reproject_signal: false,
      schedule_type: "DEEPFLOYD",
      prediction_type: "V_PREDICTION",
      loss_target_type: "DDPM",
      beta_start: 0.001,
      beta_end: 0.5,
      threshold_function: "DYNAMIC_IF",
      rescale_schedule: 2,
      rescale_signal: 0.5,
      schedule_shifted: true,
      schedule_shifted_power: 2,
    },
    model_output_scale: 3,
    use_vdm_loss_weights: false,
    use_double_loss: true,
    multi_res_weights: "4:1",
    no_use_residual: true,
    use_random_interp: false,
    mixed_ratio: null,
    random_downsample: false,
    average_downsample: false,
    mid_downsample: false,
  };
  assert.deepEqual(parseDiffusionConfig(json, true), {
    samplerConfig: {
      numDiffusionSteps: 1000,
      scheduleType: "DEEPFLOYD",
      predictionType: "V_PREDICTION",
      betaStart: 0.001,
      betaEnd: 0.5,
      thresholdFunction: "DYNAMIC_IF",
      rescaleSchedule: 2,
      rescaleSignal: 0.5,
      scheduleShifted: true,
      scheduleShiftedPower: 2,
    },
    modelOutputScale: 3,
  });
});

Deno.test("enum names are case-insensitive, and DDPM and DDIM both predict the noise", () => {
  for (
    const [name, type] of [
      ["ddpm", "EPSILON"],
      ["Ddim", "EPSILON"],
      ["v_prediction", "V_PREDICTION"],
    ]
  ) assert.equal(parseSamplerConfig({ prediction_type: name }).predictionType, type);
  assert.equal(parseSamplerConfig({ schedule_type: "cosine" }).scheduleType, "COSINE");
  assert.equal(parseSamplerConfig({ threshold_function: "none" }).thresholdFunction, "NONE");
});

Deno.test("a residual between the levels of a nested model is refused, elsewhere ignored", () => {
  assert.throws(
    () => parseDiffusionConfig({ no_use_residual: false }, true),
    new MdmError(
      `${prefix}"diffusion_config.no_use_residual" is false but must be true (the reference ` +
        `implementation cannot run a residual).`,
    ),
  );
  assert.equal(parseDiffusionConfig({ no_use_residual: false }, false).modelOutputScale, 0);
});

Deno.test("a bad field is named with its value", () => {
  const cases: [unknown, string][] = [
    [
      { beta_start: "x" },
      `"sampler_config.beta_start" is "x" but must be a number between 0 and 1.`,
    ],
    [{ beta_end: 1 }, `"sampler_config.beta_end" is 1 but must be a number between 0 and 1.`],
    [
      { num_diffusion_steps: 1e9 },
      `"sampler_config.num_diffusion_steps" is 1000000000 but must be a whole number from 1 to 100000.`,
    ],
    [
      { num_diffusion_steps: 0 },
      `"sampler_config.num_diffusion_steps" is 0 but must be a whole number from 1 to 100000.`,
    ],
    [
      { schedule_type: "SIGMOID" },
      `"sampler_config.schedule_type" is "SIGMOID" but must be one of "COSINE", "DDPM", "DEEPFLOYD".`,
    ],
    [
      { schedule_type: "toString" },
      `"sampler_config.schedule_type" is "toString" but must be one of "COSINE", "DDPM", "DEEPFLOYD".`,
    ],
    [
      { prediction_type: 3 },
      `"sampler_config.prediction_type" is 3 but must be one of "DDPM", "DDIM", "V_PREDICTION".`,
    ],
    [
      { threshold_function: [] },
      `"sampler_config.threshold_function" is [] but must be one of "NONE", "CLIP", ` +
      `"DYNAMIC", "DYNAMIC_IF".`,
    ],
    [
      { rescale_signal: 0 },
      `"sampler_config.rescale_signal" is 0 but must be a number above 0, or null.`,
    ],
    [
      { rescale_schedule: null },
      `"sampler_config.rescale_schedule" is null but must be a number above 0.`,
    ],
    [
      { schedule_shifted: "yes" },
      `"sampler_config.schedule_shifted" is "yes" but must be true or false.`,
    ],
    [
      { schedule_shifted_power: {} },
      `"sampler_config.schedule_shifted_power" is {} but must be a number.`,
    ],
    [
      { steps: 3 },
      `"sampler_config.steps" is not a known field. Remove it.`,
    ],
    [
      JSON.parse('{"__proto__": {"beta_start": 0.5}}'),
      `"sampler_config.__proto__" is not a known field. Remove it.`,
    ],
    [null, `"sampler_config" is null but must be an object.`],
    [[], `"sampler_config" is [] but must be an object.`],
  ];
  for (const [sampler_config, message] of cases) {
    assert.throws(
      () => parseDiffusionConfig({ sampler_config }, true),
      new MdmError(prefix + message),
    );
  }
  assert.throws(
    () => parseDiffusionConfig({ model_output_scale: -1 }, false),
    new MdmError(
      `${prefix}"diffusion_config.model_output_scale" is -1 but must be a number of at least 0.`,
    ),
  );
  assert.throws(
    () => parseDiffusionConfig(undefined, false),
    new MdmError(`${prefix}"diffusion_config" is missing but must be an object.`),
  );
});

Deno.test("a long value is cut in the message", () => {
  assert.throws(
    () => parseSamplerConfig({ schedule_type: "x".repeat(1e6) }),
    (error: Error) => error instanceof MdmError && error.message.length < 250,
  );
});

import assert from "../assert.ts";
import { parseSamplerConfig } from "../../src/diffusion/config.ts";
import { gammas, shiftedGammas } from "../../src/diffusion/schedule.ts";

const golden = await readTensors("schedules.safetensors");
const { fround } = Math;

for (const schedule of ["DDPM", "DEEPFLOYD", "COSINE"]) {
  const config = parseSamplerConfig({ num_diffusion_steps: 1000, schedule_type: schedule });
  for (const scale of [1, 2, 4, 16]) {
    for (const power of [1, 2]) {
      const name = `${schedule}.scale${scale}.power${power}`;
      Deno.test(`gammas of ${name} equal the reference's bit for bit`, () => {
        assert.deepEqual(shiftedGammas(gammas(config), scale, power), golden.get(name));
      });
    }
  }

  Deno.test(`VDM loss weights from the gammas of ${schedule} equal the reference's`, () => {
    const name = `${schedule}.vdm_loss_weights`;
    assert.deepEqual(vdmLossWeights(gammas(config)), golden.get(name));
  });
}

Deno.test("all golden schedules are compared", () => assert.equal(golden.size, 27));

Deno.test("rescale_schedule shifts the whole schedule", () => {
  const config = parseSamplerConfig({
    num_diffusion_steps: 1000,
    schedule_type: "DDPM",
    rescale_schedule: 4,
    schedule_shifted_power: 2,
  });
  assert.deepEqual(gammas(config), golden.get("DDPM.scale4.power2"));
});

Deno.test("a scale of 1 or less leaves the schedule alone", () => {
  const base = gammas(parseSamplerConfig({ num_diffusion_steps: 10 }));
  assert.equal(shiftedGammas(base, 1, 2), base);
  assert.equal(shiftedGammas(base, 0.25, 2), base);
});

Deno.test("a schedule of one step is possible in every family", () => {
  for (const schedule_type of ["DDPM", "DEEPFLOYD", "COSINE"]) {
    const [image, noise, ...rest] = gammas(
      parseSamplerConfig({ num_diffusion_steps: 1, schedule_type }),
    );
    assert.equal(image, 1);
    assert.ok(noise! > 0 && noise! < 1, `${schedule_type}: ${noise}`);
    assert.equal(rest.length, 0);
  }
});

/** g(t-1) (1 - g(t)) / (1 - g(t-1)) / g(t) - 1 in float32, the first value three times. */
function vdmLossWeights(gammas: Float32Array): Float32Array {
  const weights = gammas.map((gamma, t) => {
    const last = gammas[Math.max(t - 1, 0)]!;
    const product = fround(last * fround(1 - gamma));
    return fround(fround(product / fround(1 - last)) / gamma) - 1;
  });
  return weights.fill(weights[2]!, 0, 2);
}

async function readTensors(file: string): Promise<Map<string, Float32Array>> {
  const path = new URL(`../fixtures/golden/${file}`, import.meta.url);
  const { buffer } = await Deno.readFile(path);
  const headerBytes = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, headerBytes)));
  return new Map(
    Object.entries(header).map(([name, entry]) => {
      const [start, end] = (entry as { data_offsets: [number, number] }).data_offsets;
      return [name, new Float32Array(buffer.slice(8 + headerBytes + start, 8 + headerBytes + end))];
    }),
  );
}

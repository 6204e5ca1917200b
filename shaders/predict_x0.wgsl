// From the model's prediction to the image it means, before thresholds:
//
//   prediction = without + guidance * (with - without)                     (guided: rows with text, then rows without)
//   output     = (x0FromLatent * latent + x0FromPrediction * prediction) * imageScale
//
// with coefficients from the step's row of a table. outputScale > 0 first bends predictions by tanh, as the
// reference's `model_output_scale` does. One invocation has one vec4 of one image.

struct Params {
  invocations: u32,
  slotVectors: u32,
  guided: u32,
  tableStride: u32,
  tableOffset: u32,
  imageScale: f32,
  outputScale: f32,
}

#include "slot"

#include "params"
@group(0) @binding(1) var<storage, read_write> slots: array<Slot>;
@group(0) @binding(2) var<storage, read_write> coefficients: array<f32>;
@group(0) @binding(3) var<storage, read_write> prediction: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> latent: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;

#include "elementwise"

fn bounded(x: vec4f) -> vec4f {
  if (params.outputScale == 0.0) { return x; }
  // tanh by a form that cannot overflow.
  let e = exp(-2.0 * abs(x) / params.outputScale);
  return sign(x) * (1.0 - e) / (1.0 + e) * params.outputScale;
}

fn compute(i: u32) {
  let slot = slots[i / params.slotVectors];
  var p = bounded(prediction[i]);
  // Exact where nothing is to be guided, so that such an image equals one without guidance.
  if (params.guided != 0u && slot.guidance != 1.0) {
    let without = bounded(prediction[i + params.invocations]);
    p = without + slot.guidance * (p - without);
  }
  let at = slot.tableRow * params.tableStride + params.tableOffset;
  output[i] = (coefficients[at] * latent[i] + coefficients[at + 1u] * p) * params.imageScale;
}

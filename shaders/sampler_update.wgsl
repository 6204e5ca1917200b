// One step of any sampler, all of which are linear in what they know:
//
//   x0      = threshold(raw) / imageScale
//   latent  = a latent + b x0 + c previous + d noise        (a..d from the step's row of a table)
//   previous = x0
//
// threshold: 0 none, 1 clip to [-limit, limit], 2 dynamic: clip to [-s, s] and divide by s.
// One invocation has one vec4 of one image.

struct Params {
  invocations: u32,
  slotVectors: u32,
  tableStride: u32,
  tableOffset: u32,
  threshold: u32,
  limit: f32,
  imageScale: f32,
}

#include "slot"

#include "params"
@group(0) @binding(1) var<storage, read_write> slots: array<Slot>;
@group(0) @binding(2) var<storage, read_write> coefficients: array<f32>;
@group(0) @binding(3) var<storage, read_write> raw: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> quantile: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> noise: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> latent: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> previous: array<vec4f>;

#include "elementwise"

fn compute(i: u32) {
  let slot = i / params.slotVectors;
  let at = slots[slot].tableRow * params.tableStride + params.tableOffset;
  var x0 = raw[i];
  if (params.threshold == 1u) {
    x0 = clamp(x0, vec4f(-params.limit), vec4f(params.limit));
  } else if (params.threshold == 2u) {
    let s = quantile[slot].x;
    x0 = clamp(x0, vec4f(-s), vec4f(s)) / s;
  }
  x0 /= params.imageScale;
  var x = coefficients[at + 2u] * latent[i] + coefficients[at + 3u] * x0;
  let memory = coefficients[at + 4u];
  if (memory != 0.0) { x += memory * previous[i]; }
  let chance = coefficients[at + 5u];
  if (chance != 0.0) { x += chance * noise[i]; }
  latent[i] = x;
  previous[i] = x0;
}

// A quantile of the absolute values of each image, as torch.quantile interpolates it, held within [1, limit]:
// dynamic thresholding (Imagen, arXiv 2205.11487). A workgroup has one image.
//
// Floats of one sign order as their bits do, so the value of a rank is found exactly by counting: one byte of it after the
// other, each with a histogram over the values that share the bytes found before.

struct Params {
  rows: u32,
  pixels: u32,
  vectors: u32,
  channels: u32,
  rank: u32,
  fraction: f32,
  limit: f32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> prefix: u32;
var<workgroup> rank: u32;
var<workgroup> next: atomic<u32>;

#include "row_per_workgroup"

fn compute(slot: u32, local: u32) {
  let stride = params.vectors * 4u;
  let base = slot * params.pixels * stride;
  let size = params.pixels * params.channels;
  if (local == 0u) {
    prefix = 0u;
    rank = params.rank;
    atomicStore(&next, 0x7f800000u);
  }
  for (var byte = 0u; byte < 4u; byte++) {
    for (var b = local; b < 256u; b += ${WORKGROUP}u) { atomicStore(&histogram[b], 0u); }
    workgroupBarrier();
    let shift = 24u - 8u * byte;
    for (var i = local; i < size; i += ${WORKGROUP}u) {
      let bits = bitcast<u32>(input[base + i / params.channels * stride + i % params.channels]) & 0x7fffffffu;
      if (byte == 0u || bits >> (shift + 8u) == prefix) { atomicAdd(&histogram[(bits >> shift) & 255u], 1u); }
    }
    workgroupBarrier();
    if (local == 0u) {
      var bin = 0u;
      loop {
        let count = atomicLoad(&histogram[bin]);
        if (rank < count || bin == 255u) { break; }
        rank -= count;
        bin++;
      }
      prefix = (prefix << 8u) | bin;
    }
    workgroupBarrier();
  }
  // The next value in order is the same one where it stands more often, else the least that is larger.
  for (var i = local; i < size; i += ${WORKGROUP}u) {
    let bits = bitcast<u32>(input[base + i / params.channels * stride + i % params.channels]) & 0x7fffffffu;
    if (bits > prefix) { atomicMin(&next, bits); }
  }
  workgroupBarrier();
  if (local == 0u) {
    let low = bitcast<f32>(prefix);
    var high = low;
    if (rank + 1u >= atomicLoad(&histogram[prefix & 255u]) && params.fraction > 0.0) {
      high = bitcast<f32>(atomicLoad(&next));
    }
    output[slot] = vec4f(clamp(mix(low, high, params.fraction), 1.0, params.limit), 0.0, 0.0, 0.0);
  }
}

// GroupNorm, first of three: mean and sum of squared deviations of each channel over a chunk of pixels.
//
//   partial[row][chunk] = (mean[channels], squares[channels])
//
// Values are shifted by the chunk's first one before they are squared, so a large mean costs no digits.
// One invocation has four channels of one chunk; channels from vectors0 on come from input1 (a concatenation).

struct Params {
  invocations: u32,
  pixels: u32,
  chunk: u32,
  chunks: u32,
  vectors0: u32,
  vectors1: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> input0: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> input1: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec4f>;

#include "elementwise"

fn compute(i: u32) {
  let width = params.vectors0 + params.vectors1;
  let c = i % width;
  let place = i / width;
  let row = place / params.chunks;
  let first = (place % params.chunks) * params.chunk;
  let count = min(params.chunk, params.pixels - first);
  var sum = vec4f();
  var squares = vec4f();
  var shift: vec4f;
  if (c < params.vectors0) {
    var at = (row * params.pixels + first) * params.vectors0 + c;
    shift = input0[at];
    for (var p = 0u; p < count; p++) {
      let d = input0[at] - shift;
      sum += d;
      squares += d * d;
      at += params.vectors0;
    }
  } else {
    var at = (row * params.pixels + first) * params.vectors1 + c - params.vectors0;
    shift = input1[at];
    for (var p = 0u; p < count; p++) {
      let d = input1[at] - shift;
      sum += d;
      squares += d * d;
      at += params.vectors1;
    }
  }
  let n = f32(count);
  partial[place * 2u * width + c] = shift + sum / n;
  partial[(place * 2u + 1u) * width + c] = max(squares - sum * sum / n, vec4f());
}

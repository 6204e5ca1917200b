// GroupNorm, first of three: mean and sum of squared deviations of each channel over a chunk of pixels, where no producer kept them.
//
//   statistics[row][chunk] = (mean[channels], squares[channels])
//
// Values are shifted by the chunk's first one before they are squared, so a large mean costs no digits.
// One invocation has four channels of one chunk.

struct Params {
  invocations: u32,
  pixels: u32,
  chunk: u32,
  vectors: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> statistics: array<vec4f>;

#include "elementwise"

fn compute(i: u32) {
  let c = i % params.vectors;
  let chunkIndex = i / params.vectors;
  let chunks = (params.pixels + params.chunk - 1u) / params.chunk;
  let first = chunkIndex % chunks * params.chunk;
  let count = min(params.chunk, params.pixels - first);
  var at = (chunkIndex / chunks * params.pixels + first) * params.vectors + c;
  let shift = input[at];
  var sum = vec4f();
  var squares = vec4f();
  for (var p = 0u; p < count; p++) {
    let d = input[at] - shift;
    sum += d;
    squares += d * d;
    at += params.vectors;
  }
  let n = f32(count);
  statistics[chunkIndex * 2u * params.vectors + c] = shift + sum / n;
  statistics[(chunkIndex * 2u + 1u) * params.vectors + c] = max(squares - sum * sum / n, vec4f());
}

// GroupNorm, second of three: merges the chunks' statistics of a group (Chan et al.) and writes what is left to do to each
// channel as one multiplication and one addition:
//
//   normalised = (x - mean) / sqrt(variance + epsilon) * weight + bias         (then, with useFilm:)
//   y          = normalised * (1 + film[scale]) + film[shift]
//
//   affine[row] = (scale[channels], shift[channels])        y = x * scale + shift
//
// One invocation has one channel of one row.

struct Params {
  invocations: u32,
  channels: u32,
  groupSize: u32,
  pixels: u32,
  chunk: u32,
  chunks: u32,
  epsilon: f32,
  useFilm: u32,
  filmRepeat: u32,
  filmStride: u32,
  filmOffset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;
@group(0) @binding(4) var<storage, read_write> film: array<f32>;
@group(0) @binding(5) var<storage, read_write> affine: array<f32>;

#include "elementwise"

fn compute(i: u32) {
  let row = i / params.channels;
  let c = i % params.channels;
  let first = c / params.groupSize * params.groupSize;
  let n = f32(params.pixels * params.groupSize);

  // Taken from the first mean on, so that sums of many large means cost no digits either.
  let start = partial[row * params.chunks * 2u * params.channels + first];
  var drift = 0.0;
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    let base = (row * params.chunks + chunk) * 2u * params.channels + first;
    let count = f32(min(params.chunk, params.pixels - chunk * params.chunk));
    for (var k = 0u; k < params.groupSize; k++) { drift += (partial[base + k] - start) * (count / n); }
  }
  let mean = start + drift;
  var squares = 0.0;
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    let base = (row * params.chunks + chunk) * 2u * params.channels + first;
    let count = f32(min(params.chunk, params.pixels - chunk * params.chunk));
    for (var k = 0u; k < params.groupSize; k++) {
      let d = partial[base + k] - mean;
      squares += partial[base + params.channels + k] + count * d * d;
    }
  }
  var scale = weight[c] / sqrt(squares / n + params.epsilon);
  var shift = bias[c] - mean * scale;
  if (params.useFilm != 0u) {
    let at = row / params.filmRepeat * params.filmStride + params.filmOffset + c;
    let gain = 1.0 + film[at];
    scale *= gain;
    shift = shift * gain + film[at + params.channels];
  }
  affine[row * 2u * params.channels + c] = scale;
  affine[(row * 2u + 1u) * params.channels + c] = shift;
}

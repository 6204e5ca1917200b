// GroupNorm, second of three: merges the chunks' statistics of a group (Chan et al.) and writes what is left to do to each
// channel as one multiplication and one addition:
//
//   normalised = (x - mean) / sqrt(variance + epsilon) * weight + bias         (then, with useFilm:)
//   y          = normalised * (1 + film[scale]) + film[shift]
//
//   affine[row] = (scale[channels], shift[channels])        y = x * scale + shift
//
// Channels from channels0 on have their statistics in statistics1 (a concatenation); each source has chunks of its own size.
// One invocation has one group of one row.

struct Params {
  invocations: u32,
  channels: u32,
  channels0: u32,
  groupSize: u32,
  pixels: u32,
  chunk0: u32,
  chunk1: u32,
  epsilon: f32,
  useFilm: u32,
  filmRepeat: u32,
  filmStride: u32,
  filmOffset: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> statistics0: array<f32>;
@group(0) @binding(4) var<storage, read_write> statistics1: array<f32>;
@group(0) @binding(5) var<storage, read_write> film: array<f32>;
@group(0) @binding(6) var<storage, read_write> affine: array<f32>;

#include "elementwise"

fn chunkOf(channel: u32) -> u32 { return select(params.chunk1, params.chunk0, channel < params.channels0); }

fn chunksOf(channel: u32) -> u32 {
  let chunk = chunkOf(channel);
  return (params.pixels + chunk - 1u) / chunk;
}

// Mean and sum of squared deviations of a channel over a chunk.
fn statisticsOf(row: u32, channel: u32, chunk: u32) -> vec2f {
  let place = row * chunksOf(channel) + chunk;
  if (channel < params.channels0) {
    let at = place * 2u * params.channels0 + channel;
    return vec2f(statistics0[at], statistics0[at + params.channels0]);
  }
  let width = params.channels - params.channels0;
  let at = place * 2u * width + channel - params.channels0;
  return vec2f(statistics1[at], statistics1[at + width]);
}

fn countOf(channel: u32, chunk: u32) -> f32 {
  let size = chunkOf(channel);
  return f32(min(size, params.pixels - chunk * size));
}

fn compute(i: u32) {
  let groups = params.channels / params.groupSize;
  let row = i / groups;
  let first = i % groups * params.groupSize;
  let end = first + params.groupSize;
  let n = f32(params.pixels * params.groupSize);

  // Taken from the first mean on, so that sums of many large means cost no digits either.
  let start = statisticsOf(row, first, 0u).x;
  var drift = 0.0;
  for (var c = first; c < end; c++) {
    for (var chunk = 0u; chunk < chunksOf(c); chunk++) {
      drift += (statisticsOf(row, c, chunk).x - start) * (countOf(c, chunk) / n);
    }
  }
  let mean = start + drift;
  var squares = 0.0;
  for (var c = first; c < end; c++) {
    for (var chunk = 0u; chunk < chunksOf(c); chunk++) {
      let known = statisticsOf(row, c, chunk);
      let d = known.x - mean;
      squares += known.y + countOf(c, chunk) * d * d;
    }
  }
  let norm = 1.0 / sqrt(squares / n + params.epsilon);
  for (var c = first; c < end; c++) {
    var scale = weight[c] * norm;
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
}

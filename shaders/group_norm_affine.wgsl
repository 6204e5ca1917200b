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

// A channel's chunks are its parts.
fn partsOf(channel: u32) -> u32 {
  let chunk = chunkOf(channel);
  return (params.pixels + chunk - 1u) / chunk;
}

fn countOf(channel: u32, chunk: u32) -> f32 {
  let size = chunkOf(channel);
  return f32(min(size, params.pixels - chunk * size));
}

fn partAt(row: u32, _first: u32, channel: u32, chunk: u32) -> Moments {
  let chunkIndex = row * partsOf(channel) + chunk;
  if (channel < params.channels0) {
    let at = chunkIndex * 2u * params.channels0 + channel;
    return Moments(statistics0[at], statistics0[at + params.channels0]);
  }
  let width = params.channels - params.channels0;
  let at = chunkIndex * 2u * width + channel - params.channels0;
  return Moments(statistics1[at], statistics1[at + width]);
}

#include "group_norm_common"

fn compute(i: u32) {
  let groups = params.channels / params.groupSize;
  let row = i / groups;
  let first = i % groups * params.groupSize;
  let end = first + params.groupSize;
  let n = f32(params.pixels * params.groupSize);
  let moments = merge(row, first, first, end, n);
  let norm = 1.0 / sqrt(moments.squares / n + params.epsilon);
  for (var c = first; c < end; c++) {
    let made = affineOf(row, c, params.channels, moments.mean, weight[c] * norm);
    affine[row * 2u * params.channels + c] = made.x;
    affine[(row * 2u + 1u) * params.channels + c] = made.y;
  }
}

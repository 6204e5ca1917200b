// GroupNorm of a small image in one call, for software adapters, on which calls cost more than they compute:
//
//   normalised = (x - mean) / sqrt(variance + epsilon) * weight + bias         (then, with useFilm:)
//   y          = normalised * (1 + film[scale]) + film[shift]
//   output     = activation(y)
//
// A workgroup has one row. Its invocations share the row's channels (four each) and take every pixelLanes-th pixel; their statistics,
// shifted by their first value so that a large mean costs no digits, are merged by group (Chan et al.). Channels from vectors0 on
// come from input1 (a concatenation). At most CHANNELS channels.

struct Params {
  rows: u32,
  pixels: u32,
  pixelLanes: u32,
  vectors0: u32,
  vectors1: u32,
  groupSize: u32,
  epsilon: f32,
  activation: u32,
  useFilm: u32,
  filmRepeat: u32,
  filmStride: u32,
  filmOffset: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> input0: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> input1: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> film: array<f32>;
@group(0) @binding(6) var<storage, read_write> output: array<vec4f>;

#include "activation"

var<workgroup> means: array<vec4f, ${WORKGROUP}>;
var<workgroup> deviations: array<vec4f, ${WORKGROUP}>;
var<workgroup> scales: array<f32, ${CHANNELS}>;
var<workgroup> shifts: array<f32, ${CHANNELS}>;

fn load(pixel: u32, c: u32) -> vec4f {
  if (c < params.vectors0) { return input0[pixel * params.vectors0 + c]; }
  return input1[pixel * params.vectors1 + c - params.vectors0];
}

// The channels of a group in one invocation are its parts.
fn partsOf(_lane: u32) -> u32 { return params.groupSize; }

// Pixels of a lane.
fn countOf(lane: u32, _part: u32) -> f32 {
  return f32((params.pixels - lane + params.pixelLanes - 1u) / params.pixelLanes);
}

fn partAt(_row: u32, first: u32, lane: u32, part: u32) -> Moments {
  let channel = first + part;
  let at = lane * (params.vectors0 + params.vectors1) + channel / 4u;
  return Moments(means[at][channel % 4u], deviations[at][channel % 4u]);
}

#include "group_norm_common"

// Scale and shift of a channel, from the statistics of all that share its group.
fn affine(row: u32, channel: u32, channels: u32) {
  let n = f32(params.pixels * params.groupSize);
  let moments = merge(row, channel / params.groupSize * params.groupSize, 0u, params.pixelLanes, n);
  let normScale = weight[channel] / sqrt(moments.squares / n + params.epsilon);
  let made = affineOf(row, channel, channels, moments.mean, normScale);
  scales[channel] = made.x;
  shifts[channel] = made.y;
}

#include "row_per_workgroup"

fn compute(row: u32, local: u32) {
  let width = params.vectors0 + params.vectors1;
  let c = local % width;
  let lane = local / width;
  let working = lane < params.pixelLanes && lane < params.pixels;
  let base = row * params.pixels;
  if (working) {
    let first = load(base + lane, c);
    var sum = vec4f();
    var squares = vec4f();
    var n = 0.0;
    for (var p = lane; p < params.pixels; p += params.pixelLanes) {
      let d = load(base + p, c) - first;
      sum += d;
      squares += d * d;
      n += 1.0;
    }
    means[local] = first + sum / n;
    deviations[local] = max(squares - sum * sum / n, vec4f());
  }
  workgroupBarrier();
  for (var channel = local; channel < width * 4u; channel += ${WORKGROUP}u) { affine(row, channel, width * 4u); }
  workgroupBarrier();
  if (working) {
    let at = c * 4u;
    let scale = vec4f(scales[at], scales[at + 1u], scales[at + 2u], scales[at + 3u]);
    let shift = vec4f(shifts[at], shifts[at + 1u], shifts[at + 2u], shifts[at + 3u]);
    for (var p = lane; p < params.pixels; p += params.pixelLanes) {
      output[(base + p) * width + c] = activate(load(base + p, c) * scale + shift, params.activation);
    }
  }
}

// Convolution for GPUs: a matrix product of TILE pixels and PANEL_VECTORS vectors of output channels, by way of workgroup memory. Pixels
// and weights are loaded once a workgroup, STEP numbers of the sum at a time; each invocation multiplies PIXELS pixels with
// VECTORS vectors of channels in registers, so that what it reads from workgroup memory serves many products. See conv_common for what
// is computed.
//
// The sum runs over taps, sources and channels as if they were one axis, in the order of the weights. Where a row has too few tiles to
// fill a GPU, the x of the grid holds every panel several times: each time is a part of the sum, which goes as it is
// to output[part], and conv_sum adds the parts.

#include "conv_common"

alias Channels = vec4f;

#if HALF
@group(0) @binding(1) var<storage, read> weight: array<vec2u>;
#else
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
#end
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input0: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> gate: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> residual: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> output: array<vec4f>;
#if CONCAT
@group(0) @binding(7) var<storage, read_write> input1: array<vec4f>;
#end

#include "conv_epilogue"

// Of the sum, what is in workgroup memory at a time.
const STEP = 16u;
const STEP_VECTORS = 4u;
const INVOCATIONS = ${LANES}u * ${PIXEL_LANES}u;

// [pixel][STEP_VECTORS]: lanes that differ in channels only read the same place, and neighbours in pixels different banks.
var<workgroup> pixels: array<vec4f, ${TILE}u * STEP_VECTORS>;
// [STEP][PANEL_VECTORS], as in memory.
var<workgroup> weights: array<vec4f, STEP * ${PANEL_VECTORS}u>;

// Where a pixel's neighbour stands; nowhere after the last tap.
fn neighbour(pixel: Pixel, tap: u32) -> Tap {
  let found = tapAt(pixel, tap / params.kernelWidth, tap % params.kernelWidth);
  return Tap(found.index, select(0.0, found.weight, tap < params.kernelHeight * params.kernelWidth));
}

fn inputAt(tap: Tap, ci: u32) -> vec4f {
  #if CONCAT
  if (ci >= params.vectors0) {
    return input1[tap.index * params.vectors1 + ci - params.vectors0] * tap.weight;
  }
  #end
  return input0[tap.index * params.vectors0 + ci] * tap.weight;
}

// A vector of a panel; what stands behind its end is another panel's.
fn weightAt(panel: u32, at: u32, end: u32) -> vec4f {
  if (at >= end) { return vec4f(); }
  #if HALF
  let pair = weight[panel + at];
  return vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
  #else
  return weight[panel + at];
  #end
}

fn store(part: u32, m: u32, end: u32, co: u32, sum: vec4f) {
  if (m >= end || co >= params.outputVectors) { return; }
  let at = m * params.outputVectors + co;
  output[part * params.spans * params.span * params.outputVectors + at] = finish(at, sum);
}

@compute @workgroup_size(${LANES}, ${PIXEL_LANES})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let index = group.y + group.z * groups.y;
  if (index >= params.spans * ((params.span + ${TILE}u - 1u) / ${TILE}u)) { return; }
  let tile = tileAt(index, ${TILE}u);
  let panels = (params.outputVectors + ${PANEL_VECTORS}u - 1u) / ${PANEL_VECTORS}u;
  let panel = group.x % panels;
  let part = group.x / panels;
  let parts = groups.x / panels;

  let vectors = params.vectors0 + params.vectors1;
  let depth = params.kernelHeight * params.kernelWidth * vectors;
  let steps = (depth + STEP_VECTORS - 1u) / STEP_VECTORS;
  let stepsEach = (steps + parts - 1u) / parts;
  let first = part * stepsEach;
  let end = min(first + stepsEach, steps);

  // Each invocation loads the same vector of a step for INPUT_LOADS pixels.
  let start = first * STEP_VECTORS + invocation % STEP_VECTORS;
  var tap = start / vectors;
  var ci = start % vectors;
  #for i in 0..INPUT_LOADS
  let pixel${i} = pixelAt(min(tile.first + (${i}u * INVOCATIONS + invocation) / STEP_VECTORS, tile.end - 1u));
  var tap${i} = neighbour(pixel${i}, tap);
  #end
  let panelStart = panelAt(tile.span, panel, ${PANEL_VECTORS}u);
  let panelSize = depth * 4u * ${PANEL_VECTORS}u;
  var w = first * STEP * ${PANEL_VECTORS}u + invocation;

  #for v in 0..VECTORS
  let co${v} = panel * ${PANEL_VECTORS}u + ${v}u * ${LANES}u + local.x;
  let start${v} = select(vec4f(), bias[co${v}], params.useBias != 0u);
  #for p in 0..PIXELS
  var sum${p}_${v} = start${v};
  #end
  #end
  for (var step = first; step < end; step++) {
    #for i in 0..INPUT_LOADS
    pixels[${i}u * INVOCATIONS + invocation] = inputAt(tap${i}, ci);
    #end
    #for i in 0..WEIGHT_LOADS
    weights[${i}u * INVOCATIONS + invocation] = weightAt(panelStart, w + ${i}u * INVOCATIONS, panelSize);
    #end
    workgroupBarrier();
    for (var k = 0u; k < STEP_VECTORS; k++) {
      #for p in 0..PIXELS
      let value${p} = pixels[(local.y + ${p}u * ${PIXEL_LANES}u) * STEP_VECTORS + k];
      #end
      var row = k * 4u * ${PANEL_VECTORS}u + local.x;
      #for c in x y z w
      #for v in 0..VECTORS
      {
        let weight${v} = weights[row + ${v}u * ${LANES}u];
        #for p in 0..PIXELS
        sum${p}_${v} += value${p}.${c} * weight${v};
        #end
      }
      #end
      row += ${PANEL_VECTORS}u;
      #end
    }
    workgroupBarrier();
    w += STEP * ${PANEL_VECTORS}u;
    ci += STEP_VECTORS;
    if (ci >= vectors) {
      tap += ci / vectors;
      ci %= vectors;
      #for i in 0..INPUT_LOADS
      tap${i} = neighbour(pixel${i}, tap);
      #end
    }
  }
  #for v in 0..VECTORS
  #for p in 0..PIXELS
  store(part, tile.first + local.y + ${p}u * ${PIXEL_LANES}u, tile.end, co${v}, sum${p}_${v});
  #end
  #end
}

// Convolution for GPUs: a matrix product of TILE pixels and PANEL_VECTORS vectors of output channels, through workgroup memory. Pixels
// and weights are loaded once a workgroup, STEP numbers of the sum at a time; each invocation multiplies PIXELS pixels with
// VECTORS vectors of channels in registers, so that what it reads from workgroup memory serves many products. See conv_common for what
// is computed.
//
// The sum runs over taps, sources and channels as if they were one axis, in the order of the weights. Split-K: if a row has too few
// tiles to fill a GPU, the x of the grid holds every panel several times; each computes a part of the sum, which goes as it is to
// output[part], and conv_sum adds the parts.

#include "conv_common"

#include "conv_buffers"
#include "conv_epilogue"

// Numbers of the sum that are in workgroup memory at a time, and vectors of them.
const STEP = 16u;
const STEP_VECTORS = 4u;
const INVOCATIONS = ${LANES}u * ${PIXEL_LANES}u;

// By lane, so that what a lane multiplies stands at fixed distances: bounds are checked once for all of it.
var<workgroup> pixels: array<array<array<vec4f, STEP_VECTORS>, ${PIXELS}>, ${PIXEL_LANES}>;
// As in memory: lanes side by side read vectors side by side.
var<workgroup> weights: array<array<array<vec4f, ${PANEL_VECTORS}>, 4>, STEP_VECTORS>;

// Where a pixel's neighbour stands; nowhere after the last tap.
fn neighbour(pixel: Pixel, tap: u32) -> Tap {
  let found = tapAt(pixel, tap / params.kernelWidth, tap % params.kernelWidth);
  return Tap(found.index, select(0.0, found.weight, tap < params.kernelHeight * params.kernelWidth));
}

@compute @workgroup_size(${LANES}, ${PIXEL_LANES})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let index = enter(group, groups);
  if (index >= params.gemms * tilesOfGemm(${TILE}u)) { return; }
  let tile = tileAt(index, ${TILE}u);
  let panels = (params.outputVectors + ${PANEL_VECTORS}u - 1u) / ${PANEL_VECTORS}u;
  let panel = group.x % panels;
  let part = group.x / panels;
  let splitK = groups.x / panels;

  let vectors = params.vectors0 + params.vectors1;
  let depth = params.kernelHeight * params.kernelWidth * vectors;
  let steps = (depth + STEP_VECTORS - 1u) / STEP_VECTORS;
  let stepsEach = (steps + splitK - 1u) / splitK;
  let first = part * stepsEach;
  let end = min(first + stepsEach, steps);

  // Each invocation loads the same vector of a step for INPUT_LOADS pixels.
  let start = first * STEP_VECTORS + invocation % STEP_VECTORS;
  var tap = start / vectors;
  var ci = start % vectors;
  #for i in 0..INPUT_LOADS
  let pixelIndex${i} = (${i}u * INVOCATIONS + invocation) / STEP_VECTORS;
  let pixel${i} = pixelAt(min(tile.first + pixelIndex${i}, tile.end - 1u));
  var tap${i} = neighbour(pixel${i}, tap);
  #end
  #for i in 0..WEIGHT_LOADS
  let row${i} = (${i}u * INVOCATIONS + invocation) / ${PANEL_VECTORS}u;
  let column${i} = (${i}u * INVOCATIONS + invocation) % ${PANEL_VECTORS}u;
  #end
  let panelStart = panelAt(tile.gemm, panel, ${PANEL_VECTORS}u);
  let panelEnd = panelStart + depth * 4u * ${PANEL_VECTORS}u;
  var w = panelStart + first * STEP * ${PANEL_VECTORS}u + invocation;

  #for v in 0..VECTORS
  let co${v} = panel * ${PANEL_VECTORS}u + ${v}u * ${LANES}u + local.x;
  let start${v} = select(vec4f(), bias[co${v}], params.useBias != 0u);
  #for p in 0..PIXELS
  var sum${p}_${v} = start${v};
  #end
  #end
  // What is loaded at a turn is on its way while that of the turn before is multiplied.
  for (var step = first; step <= end; step++) {
    #for i in 0..INPUT_LOADS
    var loaded${i}: vec4f;
    #end
    #if CONCAT
    if (ci >= params.vectors0) {
      #for i in 0..INPUT_LOADS
      loaded${i} = input1[tap${i}.index * params.vectors1 + ci - params.vectors0];
      #end
    } else {
      #for i in 0..INPUT_LOADS
      loaded${i} = input0[tap${i}.index * params.vectors0 + ci];
      #end
    }
    #else
    #for i in 0..INPUT_LOADS
    loaded${i} = input0[tap${i}.index * params.vectors0 + ci];
    #end
    #end
    #for i in 0..WEIGHT_LOADS
    let at${i} = w + ${i}u * INVOCATIONS;
    let stored${i} = weight[min(at${i}, panelEnd - 1u)];
    #end
    if (step > first) {
      for (var k = 0u; k < STEP_VECTORS; k++) {
        #for p in 0..PIXELS
        let value${p} = pixels[local.y][${p}][k];
        #end
        #for v in 0..VECTORS
        let lane${v} = ${v}u * ${LANES}u + local.x;
        #end
        #for c in 0..4
        #for v in 0..VECTORS
        {
          let row = weights[k][${c}][lane${v}];
          #for p in 0..PIXELS
          sum${p}_${v} += value${p}[${c}] * row;
          #end
        }
        #end
        #end
      }
    }
    workgroupBarrier();
    #for i in 0..INPUT_LOADS
    pixels[pixelIndex${i} / ${PIXELS}u][pixelIndex${i} % ${PIXELS}u][invocation % STEP_VECTORS] = loaded${i} * tap${i}.weight;
    #end
    // After the panel's end follows another one.
    #for i in 0..WEIGHT_LOADS
    weights[row${i} / 4u][row${i} % 4u][column${i}] = select(vec4f(), widened(stored${i}), at${i} < panelEnd);
    #end
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

  // One sum after the other comes to the end of the row and is stored: the text of what follows a sum is there once.
  var last = vec4f();
  for (var left = ${PIXELS}u * ${VECTORS}u; left > 0u; left--) {
    #for p in 0..PIXELS
    #for v in 0..VECTORS
    {
      let own = sum${p}_${v};
      sum${p}_${v} = last;
      last = own;
    }
    #end
    #end
    let m = tile.first + local.y * ${PIXELS}u + (left - 1u) / ${VECTORS}u;
    let co = co0 + (left - 1u) % ${VECTORS}u * ${LANES}u;
    if (m < tile.end && co < params.outputVectors) {
      let at = m * params.outputVectors + co;
      output[part * params.gemms * params.gemmPixels * params.outputVectors + at] = finish(at, last);
    }
  }
}

// Convolution and linear layer, one body for all of them (a linear layer has a 1x1 kernel and one row of pixels).
//
//   output[m, co] = activation(sum over ky, kx, ci of input[pixel(m, ky, kx), ci] * weight[co, ky, kx, ci]
//                              + bias[co]) * gate[m, co] + residual[m, co]
//
// Layout: channels last, in vec4; m runs over rows x outputHeight x outputWidth. Weights come in panels of
// 4 * LANES output channels: [co / panel][ky][kx][ci][panel], zero where they stand over the edge.
// SOURCES = 2 reads the channels of input0, then of input1: a concatenation that is never made.
// HALF: weights are kept in 16 bits; sums never are.
// An upsample of 2 reads the input as if each pixel were doubled (nearest neighbour).
//
// SUBGROUPS: a workgroup is one subgroup along the output channels; each lane loads another pixel and
// broadcasts it (GROUPS * LANES pixels a workgroup). Otherwise each invocation has GROUPS * LANES / PIXEL_LANES
// pixels of its own and loads them itself.

struct Params {
  pixels: u32,
  inputHeight: u32,
  inputWidth: u32,
  outputHeight: u32,
  outputWidth: u32,
  kernelHeight: u32,
  kernelWidth: u32,
  strideY: u32,
  strideX: u32,
  upsampleY: u32,
  upsampleX: u32,
  vectors0: u32,
  vectors1: u32,
  outputVectors: u32,
  activation: u32,
  useBias: u32,
  useGate: u32,
  useResidual: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
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

#include "activation"

#if HALF
fn weightAt(at: u32) -> vec4f {
  let pair = weight[at];
  return vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
}
#else
fn weightAt(at: u32) -> vec4f { return weight[at]; }
#end

struct Pixel { row: u32, y: i32, x: i32 }

fn pixelAt(m: u32) -> Pixel {
  let area = params.outputHeight * params.outputWidth;
  let row = m / area;
  let rest = m % area;
  return Pixel(
    row,
    i32(rest / params.outputWidth * params.strideY),
    i32(rest % params.outputWidth * params.strideX),
  );
}

// Where an input pixel stands (in pixels) and 1, or somewhere harmless and 0 outside the picture.
struct Tap { index: u32, weight: f32 }

fn tapAt(pixel: Pixel, ky: u32, kx: u32) -> Tap {
  let y = pixel.y + i32(ky) - i32(params.kernelHeight / 2u);
  let x = pixel.x + i32(kx) - i32(params.kernelWidth / 2u);
  let height = i32(params.inputHeight * params.upsampleY);
  let width = i32(params.inputWidth * params.upsampleX);
  let inside = y >= 0 && y < height && x >= 0 && x < width;
  let cy = u32(clamp(y, 0, height - 1)) / params.upsampleY;
  let cx = u32(clamp(x, 0, width - 1)) / params.upsampleX;
  return Tap((pixel.row * params.inputHeight + cy) * params.inputWidth + cx, select(0.0, 1.0, inside));
}

fn store(m: u32, co: u32, sum: vec4f) {
  if (m >= params.pixels || co >= params.outputVectors) { return; }
  let at = m * params.outputVectors + co;
  var value = sum;
  if (params.useBias != 0u) { value += bias[co]; }
  value = activate(value, params.activation);
  if (params.useGate != 0u) { value *= gate[at]; }
  if (params.useResidual != 0u) { value += residual[at]; }
  output[at] = value;
}

#if SUBGROUPS
@compute @workgroup_size(${LANES})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let first = (group.y + group.z * groups.y) * ${TILE}u;
  let taps = params.kernelHeight * params.kernelWidth;
  let channels = 4u * (params.vectors0 + params.vectors1);
  var w = group.x * taps * channels * ${LANES}u + lane;
  #for g in 0..GROUPS
  let pixel${g} = pixelAt(min(first + ${g}u * ${LANES}u + lane, params.pixels - 1u));
  #for l in 0..LANES
  var sum${g}_${l} = vec4f();
  #end
  #end
  for (var ky = 0u; ky < params.kernelHeight; ky++) {
    for (var kx = 0u; kx < params.kernelWidth; kx++) {
      #for g in 0..GROUPS
      let tap${g} = tapAt(pixel${g}, ky, kx);
      #end
      #for s in 0..SOURCES
      #for g in 0..GROUPS
      let base${s}_${g} = tap${g}.index * params.vectors${s};
      #end
      for (var ci = 0u; ci < params.vectors${s}; ci++) {
        #for g in 0..GROUPS
        let value${g} = input${s}[base${s}_${g} + ci] * tap${g}.weight;
        #end
        #for c in x y z w
        {
          let row = weightAt(w);
          #for g in 0..GROUPS
          #for l in 0..LANES
          sum${g}_${l} += subgroupBroadcast(value${g}.${c}, ${l}u) * row;
          #end
          #end
        }
        w += ${LANES}u;
        #end
      }
      #end
    }
  }
  let co = group.x * ${LANES}u + lane;
  #for g in 0..GROUPS
  #for l in 0..LANES
  store(first + ${g}u * ${LANES}u + ${l}u, co, sum${g}_${l});
  #end
  #end
}
#else
@compute @workgroup_size(${LANES}, ${PIXEL_LANES})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let first = ((group.y + group.z * groups.y) * ${PIXEL_LANES}u + local.y) * ${PIXELS}u;
  let taps = params.kernelHeight * params.kernelWidth;
  let channels = 4u * (params.vectors0 + params.vectors1);
  var w = group.x * taps * channels * ${LANES}u + local.x;
  #for p in 0..PIXELS
  let pixel${p} = pixelAt(min(first + ${p}u, params.pixels - 1u));
  var sum${p} = vec4f();
  #end
  for (var ky = 0u; ky < params.kernelHeight; ky++) {
    for (var kx = 0u; kx < params.kernelWidth; kx++) {
      #for p in 0..PIXELS
      let tap${p} = tapAt(pixel${p}, ky, kx);
      #end
      #for s in 0..SOURCES
      #for p in 0..PIXELS
      let base${s}_${p} = tap${p}.index * params.vectors${s};
      #end
      for (var ci = 0u; ci < params.vectors${s}; ci++) {
        #for p in 0..PIXELS
        let value${p} = input${s}[base${s}_${p} + ci] * tap${p}.weight;
        #end
        #for c in x y z w
        {
          let row = weightAt(w);
          #for p in 0..PIXELS
          sum${p} += value${p}.${c} * row;
          #end
        }
        w += ${LANES}u;
        #end
      }
      #end
    }
  }
  let co = group.x * ${LANES}u + local.x;
  #for p in 0..PIXELS
  store(first + ${p}u, co, sum${p});
  #end
}
#end

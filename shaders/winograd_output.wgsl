// Winograd F(4x4, 3x3), last of three: the 36 products m of each tile become its 4x4 output pixels,
//
//   output[pixel] = epilogue((A^T m A)[pixel])
//
// with the epilogue of every convolution, and with useStatistics what GroupNorm needs of each line and channel (see group_norm_stats). One invocation has one vec4 of output channels of a line of tiles.

struct Params {
  invocations: u32,
  outputHeight: u32,
  outputWidth: u32,
  outputVectors: u32,
  tileRows: u32,
  tileColumns: u32,
  firstLine: u32,
  tiles: u32,
  activation: u32,
  useBias: u32,
  useGate: u32,
  useResidual: u32,
  useStatistics: u32,
}

alias Channels = vec4f;

#include "params"
@group(0) @binding(1) var<storage, read> bias: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> products: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gate: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> statistics: array<vec4f>;

#include "elementwise"
#include "activation"
#include "conv_epilogue"

fn transform(m0: vec4f, m1: vec4f, m2: vec4f, m3: vec4f, m4: vec4f, m5: vec4f) -> array<vec4f, 4> {
  let a = m1 + m2;
  let b = m3 + m4;
  let c = 0.7071067811865476 * (m1 - m2);
  let d = 1.4142135623730951 * (m3 - m4);
  return array<vec4f, 4>(m0 + a + b, c + d, 0.5 * a + 2.0 * b, 0.5 * c + 2.0 * d + m5);
}

fn compute(i: u32) {
  let co = i % params.outputVectors;
  let line = i / params.outputVectors;
  let row = (params.firstLine + line) / params.tileRows;
  let top = (params.firstLine + line) % params.tileRows * 4u;
  let first = (row * params.outputHeight + top) * params.outputWidth;
  let rows = min(4u, params.outputHeight - top);
  let start = select(vec4f(), bias[co], params.useBias != 0u);
  let stride = params.tiles * params.outputVectors;
  for (var column = 0u; column < params.tileColumns; column++) {
    let m = (line * params.tileColumns + column) * params.outputVectors + co;
    #for y in 0..6
    #for x in 0..6
    let m${y}_${x} = products[m + ${y}u * 6u * stride + ${x}u * stride];
    #end
    #end
    #for x in 0..6
    let t${x} = transform(m0_${x}, m1_${x}, m2_${x}, m3_${x}, m4_${x}, m5_${x});
    #end
    let left = first + column * 4u;
    let columns = params.outputWidth - column * 4u;
    #for y in 0..4
    let r${y} = transform(t0[${y}], t1[${y}], t2[${y}], t3[${y}], t4[${y}], t5[${y}]);
    #for x in 0..4
    if (${y}u < rows && ${x}u < columns) {
      output[(left + ${y}u * params.outputWidth + ${x}u) * params.outputVectors + co] = r${y}[${x}] + start;
    }
    #end
    #end
  }
  // As in conv_subgroup: a loop over what was stored keeps the code small.
  if (params.activation == 0u && params.useGate + params.useResidual + params.useStatistics == 0u) { return; }
  let count = rows * params.outputWidth;
  var total = vec4f();
  for (var p = 0u; p < count; p++) {
    let at = (first + p) * params.outputVectors + co;
    let value = finish(at, output[at]);
    output[at] = value;
    total += value;
  }
  if (params.useStatistics == 0u) { return; }
  let mean = total / f32(count);
  var squares = vec4f();
  for (var p = 0u; p < count; p++) {
    let d = output[(first + p) * params.outputVectors + co] - mean;
    squares += d * d;
  }
  let chunk = params.firstLine + line;
  statistics[2u * chunk * params.outputVectors + co] = mean;
  statistics[(2u * chunk + 1u) * params.outputVectors + co] = squares;
}

// LayerNorm and RMSNorm over the last dimension:
//
//   LayerNorm  output = (x - mean) / sqrt(variance + epsilon) * weight + bias
//   RMSNorm    output = x / sqrt(mean of squares + epsilon) * weight            (rms = 1; T5)
//
// A workgroup has one row, the numbers of a position. `width` numbers count, the padding up to a vec4 is written as zero (weight and bias are).

struct Params {
  width: u32,
  vectors: u32,
  rows: u32,
  epsilon: f32,
  rms: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;

#include "padding"
#include "workgroup_sum"
#include "row_per_workgroup"

fn compute(row: u32, local: u32) {
  let base = row * params.vectors;
  let n = f32(params.width);
  var mean = 0.0;
  if (params.rms == 0u) {
    var sum = 0.0;
    for (var v = local; v < params.vectors; v += ${WORKGROUP}u) { sum += dot(input[base + v], unpadded(v, params.width)); }
    mean = workgroupSum(sum, local) / n;
  }
  var squares = 0.0;
  for (var v = local; v < params.vectors; v += ${WORKGROUP}u) {
    let d = (input[base + v] - mean) * unpadded(v, params.width);
    squares += dot(d, d);
  }
  let scale = 1.0 / sqrt(workgroupSum(squares, local) / n + params.epsilon);
  for (var v = local; v < params.vectors; v += ${WORKGROUP}u) {
    var y = (input[base + v] - mean) * scale * weight[v];
    if (params.rms == 0u) { y += bias[v]; }
    output[base + v] = y;
  }
}

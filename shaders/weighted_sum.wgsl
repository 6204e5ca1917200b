// output[row] = sum over positions of weights[row, position] * input[row, position]: pooling of text features.
// One invocation has one vec4 of one row.

struct Params {
  invocations: u32,
  positions: u32,
  vectors: u32,
  weightStride: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> input: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

#include "elementwise"

fn compute(i: u32) {
  let row = i / params.vectors;
  let v = i % params.vectors;
  var sum = vec4f();
  for (var p = 0u; p < params.positions; p++) {
    sum += weights[row * params.weightStride + p] * input[(row * params.positions + p) * params.vectors + v];
  }
  output[i] = sum;
}

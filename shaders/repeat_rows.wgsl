// output[row] = input[row % inputRows] / divisor[row % inputRows]: an image's latent for each of its model rows
// (without and with its text), normalised where the model asks for it. One invocation a vec4.

struct Params {
  invocations: u32,
  rowVectors: u32,
  inputRows: u32,
  useDivisor: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> divisor: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

#include "elementwise"

fn compute(i: u32) {
  let row = i / params.rowVectors % params.inputRows;
  var x = input[row * params.rowVectors + i % params.rowVectors];
  if (params.useDivisor != 0u) { x /= divisor[row].x; }
  output[i] = x;
}

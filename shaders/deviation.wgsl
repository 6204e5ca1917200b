// output[row] = the standard deviation of all numbers of a row (unbiased, as torch.std). A workgroup has one row.

struct Params {
  rows: u32,
  pixels: u32,
  vectors: u32,
  channels: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

#include "padding"
#include "workgroup_sum"
#include "row_per_workgroup"

fn compute(row: u32, local: u32) {
  let size = params.pixels * params.vectors;
  let n = f32(params.pixels * params.channels);
  var sum = 0.0;
  for (var i = local; i < size; i += ${WORKGROUP}u) {
    sum += dot(input[row * size + i], unpadded(i % params.vectors, params.channels));
  }
  let mean = workgroupSum(sum, local) / n;
  var squares = 0.0;
  for (var i = local; i < size; i += ${WORKGROUP}u) {
    let d = (input[row * size + i] - mean) * unpadded(i % params.vectors, params.channels);
    squares += dot(d, d);
  }
  let deviation = sqrt(workgroupSum(squares, local) / (n - 1.0));
  if (local == 0u) { output[row] = vec4f(deviation, 0.0, 0.0, 0.0); }
}

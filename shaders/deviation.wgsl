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

var<workgroup> parts: array<f32, ${WORKGROUP}>;

#include "workgroup_sum"

// 1 for the channels of a vec4 that count, 0 for the padding.
fn counts(v: u32) -> vec4f {
  return select(vec4f(), vec4f(1.0), vec4u(v * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.channels));
}

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  loadParams(group.z >> 31u);
  let row = group.y + group.z * groups.y;
  if (row >= params.rows) { return; }
  let size = params.pixels * params.vectors;
  let n = f32(params.pixels * params.channels);
  var sum = 0.0;
  for (var i = local; i < size; i += ${WORKGROUP}u) {
    sum += dot(input[row * size + i], counts(i % params.vectors));
  }
  let mean = workgroupSum(sum, local) / n;
  var squares = 0.0;
  for (var i = local; i < size; i += ${WORKGROUP}u) {
    let d = (input[row * size + i] - mean) * counts(i % params.vectors);
    squares += dot(d, d);
  }
  let deviation = sqrt(workgroupSum(squares, local) / (n - 1.0));
  if (local == 0u) { output[row] = vec4f(deviation, 0.0, 0.0, 0.0); }
}

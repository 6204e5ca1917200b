// LayerNorm and RMSNorm over the last dimension:
//
//   LayerNorm  output = (x - mean) / sqrt(variance + epsilon) * weight + bias
//   RMSNorm    output = x / sqrt(mean of squares + epsilon) * weight            (rms = 1; T5)
//
// A workgroup has one position. `width` numbers count, the padding up to a vec4 is written as zero (weight and bias are).

struct Params {
  width: u32,
  vectors: u32,
  positions: u32,
  epsilon: f32,
  rms: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;

var<workgroup> parts: array<f32, ${WORKGROUP}>;

#include "workgroup_sum"

// 1 for the numbers of a vec4 that count, 0 for the padding.
fn counts(v: u32) -> vec4f {
  return select(vec4f(), vec4f(1.0), vec4u(v * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.width));
}

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  loadParams(group.z >> 31u);
  let position = group.y + group.z * groups.y;
  if (position >= params.positions) { return; }
  let base = position * params.vectors;
  let n = f32(params.width);
  var mean = 0.0;
  if (params.rms == 0u) {
    var sum = 0.0;
    for (var v = local; v < params.vectors; v += ${WORKGROUP}u) { sum += dot(input[base + v], counts(v)); }
    mean = workgroupSum(sum, local) / n;
  }
  var squares = 0.0;
  for (var v = local; v < params.vectors; v += ${WORKGROUP}u) {
    let d = (input[base + v] - mean) * counts(v);
    squares += dot(d, d);
  }
  let scale = 1.0 / sqrt(workgroupSum(squares, local) / n + params.epsilon);
  for (var v = local; v < params.vectors; v += ${WORKGROUP}u) {
    var y = (input[base + v] - mean) * scale * weight[v];
    if (params.rms == 0u) { y += bias[v]; }
    output[base + v] = y;
  }
}

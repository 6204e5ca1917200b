// output = activation(a + b), one invocation a vec4.

struct Params {
  invocations: u32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> a: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

#include "index"
#include "activation"

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = indexOf(group, groups, local);
  if (i >= params.invocations) { return; }
  output[i] = activate(a[i] + b[i], params.activation);
}

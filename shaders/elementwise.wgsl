// The entry point of kernels in which one invocation has one number (or vector): compute(i) for each i below params.invocations.
// The grid may be spread over y and z (see spread() in src/gpu/kernel.ts).
@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  loadParams(group.z >> 31u);
  let i = (group.y + group.z * groups.y) * ${WORKGROUP}u + local;
  if (i < params.invocations) { compute(i); }
}

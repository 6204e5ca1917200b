// The entry point of kernels in which one invocation has one number (or vector): compute(i) for each i below params.invocations.
@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = enter(group, groups) * ${WORKGROUP}u + local;
  if (i < params.invocations) { compute(i); }
}

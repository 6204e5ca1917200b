// The entry point of kernels in which a workgroup has one row: compute(row, local) for each row below params.rows, in each invocation.
@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = enter(group, groups);
  if (row < params.rows) { compute(row, local); }
}

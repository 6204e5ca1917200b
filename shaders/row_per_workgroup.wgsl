// The entry point of kernels in which a workgroup has one row: compute(row, local) for each row below params.rows, in each invocation.
// The grid may be spread over y and z (see spread() in src/gpu/kernel.ts).
@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  loadParams(group.z >> 31u);
  let row = group.y + group.z * groups.y;
  if (row < params.rows) { compute(row, local); }
}

// The running number of an invocation in a one-dimensional grid that may be spread over y and z (see spread() in kernel.ts).
fn indexOf(group: vec3u, groups: vec3u, local: u32) -> u32 {
  return (group.y + group.z * groups.y) * ${WORKGROUP}u + local;
}

// The sum of a number over a workgroup's invocations, in the same order always. Needs `parts`, f32 by invocation.
fn workgroupSum(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  parts[local] = value;
  workgroupBarrier();
  for (var half = ${WORKGROUP}u / 2u; half > 0u; half /= 2u) {
    if (local < half) { parts[local] += parts[local + half]; }
    workgroupBarrier();
  }
  return parts[0];
}

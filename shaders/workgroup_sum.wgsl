var<workgroup> partialSums: array<f32, ${WORKGROUP}>;

// The sum of a number over a workgroup's invocations, always in the same order.
fn workgroupSum(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  partialSums[local] = value;
  workgroupBarrier();
  for (var half = ${WORKGROUP}u / 2u; half > 0u; half /= 2u) {
    if (local < half) { partialSums[local] += partialSums[local + half]; }
    workgroupBarrier();
  }
  return partialSums[0];
}

// 1 for the numbers of the vector v of a last dimension that count, 0 for the padding.
fn unpadded(v: u32, width: u32) -> vec4f {
  return select(vec4f(), vec4f(1.0), vec4u(v * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(width));
}

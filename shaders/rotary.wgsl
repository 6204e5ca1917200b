// Rotary positions over time (RoFormer, arXiv 2104.09864; pairs of neighbours, as rotary_embedding_torch has them):
//
//   (x, y) of pair j at frame t  ->  (x cos - y sin, y cos + x sin),  the angle t * frequency[j] from a table
//
// The first `rotated` vectors of each position are heads of `headVectors`; the rest (the values) is copied. One invocation has one vec4.

struct Params {
  invocations: u32,
  frames: u32,
  pixels: u32,
  vectors: u32,
  rotated: u32,
  headVectors: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read> table: array<vec4f>; // [frame][pair] (cos, sin), two pairs a vec4
@group(0) @binding(2) var<storage, read_write> input: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

#include "elementwise"

fn compute(i: u32) {
  let v = i % params.vectors;
  let x = input[i];
  if (v >= params.rotated) {
    output[i] = x;
    return;
  }
  let frame = i / (params.vectors * params.pixels) % params.frames;
  let turn = table[frame * params.headVectors + v % params.headVectors];
  output[i] = vec4f(
    x.x * turn.x - x.y * turn.y,
    x.y * turn.x + x.x * turn.y,
    x.z * turn.z - x.w * turn.w,
    x.w * turn.z + x.z * turn.w,
  );
}

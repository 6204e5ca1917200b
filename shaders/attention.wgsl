// Attention with the softmax computed on the way (Milakov & Gimelshein): no score is ever stored.
//
//   output[row, query, head] = sum over keys of softmax(scale * q . k + bias[key - query]) v  + addend[row, query, head]
//
// q lies in `queries`, k and v in `kv`, each at an offset within its position, so that one projection may hold all three.
// Positions of a row lie `inner` apart: 1 in a text or image; in temporal attention each pixel is a row and frames lie an image apart.
// Keys with mask 0 do not exist; a row without any key gives zero. One invocation has one query of one head.
// Offsets and strides count elements: vec4f where a head's width divides by four (VECTOR), else f32.

struct Params {
  invocations: u32,
  queryCount: u32,
  keyCount: u32,
  heads: u32,
  inner: u32,
  queryStride: u32,
  queryOffset: u32,
  kvStride: u32,
  keyOffset: u32,
  valueOffset: u32,
  outputStride: u32,
  scale: f32,
  useMask: u32,
  maskStride: u32,
  useBias: u32,
  biasStride: u32,
  useAddend: u32,
}

#if VECTOR
alias Element = vec4f;
fn product(a: vec4f, b: vec4f) -> f32 { return dot(a, b); }
#else
alias Element = f32;
fn product(a: f32, b: f32) -> f32 { return a * b; }
#end

#include "params"
@group(0) @binding(1) var<storage, read_write> queries: array<Element>;
@group(0) @binding(2) var<storage, read_write> kv: array<Element>;
@group(0) @binding(3) var<storage, read_write> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> addend: array<Element>;
@group(0) @binding(6) var<storage, read_write> output: array<Element>;

#include "elementwise"

fn compute(i: u32) {
  let query = i % params.queryCount;
  let head = i / params.queryCount % params.heads;
  let row = i / (params.queryCount * params.heads);
  let outer = row / params.inner;
  let position = (outer * params.queryCount + query) * params.inner + row % params.inner;
  let q = position * params.queryStride + params.queryOffset + head * ${WIDTH}u;
  #for d in 0..WIDTH
  let q${d} = queries[q + ${d}u] * params.scale;
  var sum${d} = Element();
  #end
  var rowMax = -3.0e38;
  var expSum = 0.0;
  var kvAt = (outer * params.keyCount * params.inner + row % params.inner) * params.kvStride
    + head * ${WIDTH}u;
  for (var key = 0u; key < params.keyCount; key++) {
    if (params.useMask == 0u || mask[row * params.maskStride + key] != 0.0) {
      let k = kvAt + params.keyOffset;
      let v = kvAt + params.valueOffset;
      var score = 0.0;
      #for d in 0..WIDTH
      score += product(q${d}, kv[k + ${d}u]);
      #end
      if (params.useBias != 0u) {
        score += bias[(key + params.queryCount - 1u - query) * params.biasStride + head];
      }
      let newMax = max(rowMax, score);
      let rescale = exp(rowMax - newMax);
      let weight = exp(score - newMax);
      rowMax = newMax;
      expSum = expSum * rescale + weight;
      #for d in 0..WIDTH
      sum${d} = sum${d} * rescale + kv[v + ${d}u] * weight;
      #end
    }
    kvAt += params.kvStride * params.inner;
  }
  let norm = select(0.0, 1.0 / expSum, expSum > 0.0);
  let o = position * params.outputStride + head * ${WIDTH}u;
  #for d in 0..WIDTH
  if (params.useAddend != 0u) {
    output[o + ${d}u] = sum${d} * norm + addend[o + ${d}u];
  } else {
    output[o + ${d}u] = sum${d} * norm;
  }
  #end
  #if !VECTOR
  // The last head also writes the zeros up to a whole vector.
  if (head == params.heads - 1u) {
    let end = (position + 1u) * params.outputStride;
    for (var at = o + ${WIDTH}u; at < end; at++) { output[at] = 0.0; }
  }
  #end
}

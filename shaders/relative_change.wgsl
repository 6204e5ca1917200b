// How much a value changed since it was kept, chunk by chunk of every row; then the new value is kept:
//
//   output[row, chunk] = (sum of (fresh - kept)^2, sum of fresh^2);  kept = fresh
//
// A workgroup has a chunk: `rows` counts the chunks of all rows.

struct Params {
  rows: u32,
  rowVectors: u32,
  rowChunks: u32,
  chunkVectors: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> fresh: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> kept: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

#include "workgroup_sum"
#include "row_per_workgroup"

fn compute(index: u32, local: u32) {
  let begin = index / params.rowChunks * params.rowVectors;
  let first = index % params.rowChunks * params.chunkVectors;
  let end = min(first + params.chunkVectors, params.rowVectors);
  var change = 0.0;
  var size = 0.0;
  for (var i = begin + first + local; i < begin + end; i += ${WORKGROUP}u) {
    let x = fresh[i];
    let d = x - kept[i];
    change += dot(d, d);
    size += dot(x, x);
    kept[i] = x;
  }
  change = workgroupSum(change, local);
  size = workgroupSum(size, local);
  if (local == 0u) { output[index] = vec4f(change, size, 0.0, 0.0); }
}

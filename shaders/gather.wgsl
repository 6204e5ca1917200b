// output[i] = table[ids[i]]: token embeddings, relative position biases, a step's row of a table. Ids over the edge give the last row.

struct Params {
  invocations: u32,
  vectors: u32,
  tableRows: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read> table: array<vec4f>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

#include "elementwise"

fn compute(i: u32) {
  let id = min(ids[i / params.vectors], params.tableRows - 1u);
  output[i] = table[id * params.vectors + i % params.vectors];
}

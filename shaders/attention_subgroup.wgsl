// Attention for software adapters with subgroups, which are slow at loads: a workgroup is one subgroup of queries of one head; each
// lane loads another key (or value) and broadcasts it, so that a load serves LANES queries. See attention for what is computed.
//
// SOURCES = 2 attends to a second set of keys and values as well, with a softmax of its own, and adds both results.
// The width of a head is WIDTH vec4; offsets and strides count vec4.

struct Params {
  rows: u32,
  queryCount: u32,
  heads: u32,
  inner: u32,
  queryStride: u32,
  queryOffset: u32,
  outputStride: u32,
  scale: f32,
  biasStride: u32,
  keyCount0: u32,
  kvStride0: u32,
  keyOffset0: u32,
  valueOffset0: u32,
  useMask0: u32,
  maskStride0: u32,
  keyCount1: u32,
  kvStride1: u32,
  keyOffset1: u32,
  valueOffset1: u32,
  useMask1: u32,
  maskStride1: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> queries: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;
#for s in 0..SOURCES
@group(0) @binding(1${s}) var<storage, read_write> kv${s}: array<vec4f>;
@group(0) @binding(2${s}) var<storage, read_write> mask${s}: array<f32>;
#end
#if BIAS
@group(0) @binding(3) var<storage, read_write> bias: array<f32>;
#end

@compute @workgroup_size(${LANES})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let index = enter(group, groups);
  if (index >= params.rows * params.heads) { return; }
  let head = index % params.heads;
  let row = index / params.heads;
  let outer = row / params.inner;
  let within = row % params.inner;
  let query = group.x * ${LANES}u + lane;
  let known = min(query, params.queryCount - 1u);
  let position = (outer * params.queryCount + known) * params.inner + within;
  let q = position * params.queryStride + params.queryOffset + head * ${WIDTH}u;
  #for d in 0..WIDTH
  var result${d} = vec4f();
  #end
  #for s in 0..SOURCES
  {
    #for d in 0..WIDTH
    var sum${d} = vec4f();
    #end
    var rowMax = -3.0e38;
    var expSum = 0.0;
    for (var first = 0u; first < params.keyCount${s}; first += ${LANES}u) {
      let key = min(first + lane, params.keyCount${s} - 1u);
      var exists = select(0.0, 1.0, first + lane < params.keyCount${s});
      if (params.useMask${s} != 0u && mask${s}[row * params.maskStride${s} + key] == 0.0) { exists = 0.0; }
      let kvAt = ((outer * params.keyCount${s} + key) * params.inner + within) * params.kvStride${s} + head * ${WIDTH}u;
      #for l in 0..LANES
      var score${l} = 0.0;
      #end
      for (var d = 0u; d < ${WIDTH}u; d++) {
        let own = queries[q + d];
        let keys = kv${s}[kvAt + params.keyOffset${s} + d];
        #for l in 0..LANES
        score${l} += dot(own, subgroupBroadcast(keys, ${l}u));
        #end
      }
      var newMax = rowMax;
      #for l in 0..LANES
      score${l} *= params.scale;
      #if BIAS
      score${l} += bias[(min(first + ${l}u, params.keyCount${s} - 1u) + params.queryCount - 1u - known) * params.biasStride + head];
      #end
      let exists${l} = subgroupBroadcast(exists, ${l}u);
      newMax = max(newMax, select(-3.0e38, score${l}, exists${l} != 0.0));
      #end
      let rescale = exp(rowMax - newMax);
      rowMax = newMax;
      expSum *= rescale;
      #for l in 0..LANES
      let weight${l} = exp(min(score${l} - newMax, 0.0)) * exists${l};
      expSum += weight${l};
      #end
      #for d in 0..WIDTH
      {
        let values = kv${s}[kvAt + params.valueOffset${s} + ${d}u];
        sum${d} *= rescale;
        #for l in 0..LANES
        sum${d} += weight${l} * subgroupBroadcast(values, ${l}u);
        #end
      }
      #end
    }
    let norm = select(0.0, 1.0 / expSum, expSum > 0.0);
    #for d in 0..WIDTH
    result${d} += sum${d} * norm;
    #end
  }
  #end
  if (query >= params.queryCount) { return; }
  let o = position * params.outputStride + head * ${WIDTH}u;
  #for d in 0..WIDTH
  output[o + ${d}u] = result${d};
  #end
}

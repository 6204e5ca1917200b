// Adds the parts of a convolution's sums (split-K), always in the same order, and computes the epilogue (see conv_common):
//
//   output[m, co] = finish(bias[co] + sum over parts of sums[part, m, co])
//
// One invocation has a vector of four channels.

struct Params {
  invocations: u32,
  splitK: u32,
  outputVectors: u32,
  activation: u32,
  useBias: u32,
  useGate: u32,
  useResidual: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read> bias: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gate: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;

alias Channels = vec4f;

#include "elementwise"
#include "activation"
#include "conv_epilogue"

fn compute(i: u32) {
  var sum = select(vec4f(), bias[i % params.outputVectors], params.useBias != 0u);
  for (var part = 0u; part < params.splitK; part++) { sum += sums[part * params.invocations + i]; }
  output[i] = finish(i, sum);
}

// output = activation(a + b), one invocation a vec4. Each position of b counts for `repeat` positions of a.

struct Params {
  invocations: u32,
  activation: u32,
  vectors: u32,
  repeat: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> a: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

#include "elementwise"
#include "activation"

fn compute(i: u32) {
  let v = params.vectors;
  output[i] = activate(a[i] + b[i / (v * params.repeat) * v + i % v], params.activation);
}

// output = activation(a + b), one invocation a vec4.

struct Params {
  invocations: u32,
  activation: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> a: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

#include "elementwise"
#include "activation"

fn compute(i: u32) {
  output[i] = activate(a[i] + b[i], params.activation);
}

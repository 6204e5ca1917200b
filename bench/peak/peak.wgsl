// Multiply-adds in registers and nothing else: CHAINS vectors an invocation, which do not wait for each other, each
// stepped 8 times in each of `loops` rounds. Reads nothing, writes one vector.

struct Params {
  loops: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  // Not known to the compiler; the steps lead to 1 from anywhere.
  let factor = vec4f(0.5 + f32(id.x) * 1e-9);
  let term = vec4f(0.5);
#for c in 0..CHAINS
  var x${c} = vec4f(f32(id.x + ${c}u));
#end
  for (var i = 0u; i < params.loops; i++) {
#for step in 0..8
#for c in 0..CHAINS
    x${c} = fma(x${c}, factor, term);
#end
#end
  }
  var sum = vec4f(0.0);
#for c in 0..CHAINS
  sum += x${c};
#end
  output[id.x] = sum;
}

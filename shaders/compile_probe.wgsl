// Takes a driver long to compile, and is another shader for every SALT: see src/gpu/driver_cache.ts. It is never run.

struct Params {
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> values: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var x = values[id.x].x;
  #for i in 0..160
  x = fract(sin(x * params.factor + ${i}.5)) + f32(u32(x) ^ ${SALT}u);
  #end
  values[id.x].x = x;
}

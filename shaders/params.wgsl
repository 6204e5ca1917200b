// The parameters of a call, `struct Params`. They are read through a dynamic index: for those at a constant index,
// Mesa recompiles a shader for each set of values that decides a branch.
struct ParamsBlock { @size(${PARAMS_BYTES}) values: Params }

@group(0) @binding(0) var<uniform> paramsBlock: array<ParamsBlock, 1>;

var<private> params: Params;

// Loads the parameters, and gives the index of a workgroup in a grid that may be spread over y and z (see spread() in
// src/gpu/kernel.ts). No grid has 2^31 layers, so the dynamic index is 0.
fn enter(group: vec3u, groups: vec3u) -> u32 {
  params = paramsBlock[group.z >> 31u].values;
  return group.y + group.z * groups.y;
}

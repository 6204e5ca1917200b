// The parameters of a call, `struct Params`. They are read through a dynamic index, which is always 0: for those at a constant index,
// Mesa recompiles a shader for each set of values that decides a branch.
struct ParamsBlock { @size(${PARAMS_BYTES}) values: Params }

@group(0) @binding(0) var<uniform> paramsBlock: array<ParamsBlock, 1>;

var<private> params: Params;

// `zero`: group.z >> 31, for no grid has 2^31 layers.
fn loadParams(zero: u32) { params = paramsBlock[zero].values; }

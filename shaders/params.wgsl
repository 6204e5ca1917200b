// The numbers of a call, `struct Params`. They are read at a place that the compiler cannot know (loadParams is given 0): Mesa compiles
// a shader anew for each set of numbers that it finds at a constant place and that decides a branch.
struct ParamsBlock { @size(${PARAMS_BYTES}) values: Params }

@group(0) @binding(0) var<uniform> paramsBlock: array<ParamsBlock, 1>;

var<private> params: Params;

// `zero`: group.z >> 31, for no grid has 2^31 layers.
fn loadParams(zero: u32) { params = paramsBlock[zero].values; }

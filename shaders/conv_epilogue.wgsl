// What follows the sum of a convolution (see conv_common): needs `params`, `bias`, `gate` and `residual`, and the activations.
fn epilogue(sum: vec4f, at: u32, co: u32) -> vec4f {
  var value = sum;
  if (params.useBias != 0u) { value += bias[co]; }
  value = activate(value, params.activation);
  if (params.useGate != 0u) { value *= gate[at]; }
  if (params.useResidual != 0u) { value += residual[at]; }
  return value;
}

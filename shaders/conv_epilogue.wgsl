// What follows the sum of a convolution. Needs `Channels` (a vector of output channels), and gate and residual of them.

fn activateChannels(x: Channels) -> Channels {
  #if NARROW
  return activate(vec4f(x, x), params.activation).xy;
  #else
  return activate(x, params.activation);
  #end
}

// The result for a sum (bias included) that stands at `at` in memory.
fn finish(at: u32, sum: Channels) -> Channels {
  var value = activateChannels(sum);
  if (params.useGate != 0u) { value *= gate[at]; }
  if (params.useResidual != 0u) { value += residual[at]; }
  return value;
}

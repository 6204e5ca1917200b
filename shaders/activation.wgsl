// Activations by number (src/gpu/activation.ts has the same list):
// 0 none, 1 SiLU, 2 GELU with the exact erf (PyTorch's default), 3 GELU with tanh (T5's "gelu_new"), 4 ReLU.

fn silu(x: vec4f) -> vec4f {
  return x / (1.0 + exp(-x));
}

// erf as an odd rational function, within 2e-7 of the exact one over all x (fitted for f32 by Eigen and XLA).
fn erf(v: vec4f) -> vec4f {
  let x = clamp(v, vec4f(-3.832506856900711), vec4f(3.832506856900711));
  let q = x * x;
  let p = ((((((q * 0.00022905065861350646 + 0.0034082910107109506) * q + 0.050955695062380861) * q
    + 0.18520832239976145) * q + 1.128379143519084)));
  let d = ((((((q * -1.1791602954361697e-7 + 0.000023547966471313185) * q + 0.0010179625278914885) * q
    + 0.014070470171167667) * q + 0.11098505178285362) * q + 0.49746925110067538) * q + 1.0);
  // A rounding past 1 would be multiplied with x, and a GELU of -1e4 not be zero.
  return clamp(x * p / d, vec4f(-1.0), vec4f(1.0));
}

fn geluExact(x: vec4f) -> vec4f {
  return 0.5 * x * (1.0 + erf(x * 0.7071067811865476));
}

// 0.5 (1 + tanh(u)) = sigmoid(2 u), which unlike tanh cannot overflow into a NaN.
fn geluTanh(x: vec4f) -> vec4f {
  let u = 0.7978845608028654 * (x + 0.044715 * x * x * x);
  return x / (1.0 + exp(-2.0 * u));
}

fn activate(x: vec4f, activation: u32) -> vec4f {
  switch activation {
    case 1u: { return silu(x); }
    case 2u: { return geluExact(x); }
    case 3u: { return geluTanh(x); }
    case 4u: { return max(x, vec4f()); }
    default: { return x; }
  }
}

// Normal noise from a counter (Philox 4x32-10, Salmon et al. 2011; Box-Muller): output[slot, pixel] depends on the image's
// seed, the level, how often it drew before, and the position - never on what else is being computed.
// With firstOnly what is not an image's first noise is left as it is: an image can begin while others are on their way.
// log, sin and cos are our own, since WGSL's may differ from one device to the next. One invocation has one vec4.

struct Params {
  invocations: u32,
  slotVectors: u32,
  vectors: u32,
  channels: u32,
  level: u32,
  firstOnly: u32,
}

#include "slot"

#include "params"
@group(0) @binding(1) var<storage, read_write> slots: array<Slot>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

#include "elementwise"

// The high half of a 64-bit product.
fn multiplyHigh(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let low = al * bl;
  let mid = ah * bl + (low >> 16u);
  let mid2 = al * bh + (mid & 0xffffu);
  return ah * bh + (mid >> 16u) + (mid2 >> 16u);
}

fn philox(start: vec4u, key: vec2u) -> vec4u {
  var counter = start;
  var k = key;
  for (var round = 0u; round < 10u; round++) {
    let high0 = multiplyHigh(0xD2511F53u, counter.x);
    let high1 = multiplyHigh(0xCD9E8D57u, counter.z);
    counter = vec4u(
      high1 ^ counter.y ^ k.x,
      0xCD9E8D57u * counter.z,
      high0 ^ counter.w ^ k.y,
      0xD2511F53u * counter.x,
    );
    k += vec2u(0x9E3779B9u, 0xBB67AE85u);
  }
  return counter;
}

// ln of (bits / 2^8 + 1) / 2^24, which is never that of 0.
fn logUniform(bits: u32) -> f32 {
  let raw = bitcast<u32>(f32((bits >> 8u) + 1u));
  var exponent = f32(i32(raw >> 23u) - 127 - 24);
  var mantissa = bitcast<f32>((raw & 0x7fffffu) | 0x3f800000u);
  if (mantissa > 1.4142135) {
    mantissa *= 0.5;
    exponent += 1.0;
  }
  let t = (mantissa - 1.0) / (mantissa + 1.0);
  let q = t * t;
  let series = ((((q * 0.1111111111 + 0.1428571429) * q + 0.2) * q + 0.3333333333) * q + 1.0);
  return exponent * 0.6931471806 + 2.0 * t * series;
}

// (cos, sin) of an angle uniform over the circle: a quarter from two bits, the rest within an eighth to both sides.
fn onCircle(bits: u32) -> vec2f {
  let t = (f32((bits >> 6u) & 0xffffffu) / 16777216.0 - 0.5) * 1.5707963268;
  let q = t * t;
  let c = (((q * 0.0000248016 - 0.0013888889) * q + 0.0416666667) * q - 0.5) * q + 1.0;
  let s = t * ((((q * 0.0000027557 - 0.0001984127) * q + 0.0083333333) * q - 0.1666666667) * q + 1.0);
  switch bits >> 30u {
    case 0u: { return vec2f(c, s); }
    case 1u: { return vec2f(-s, c); }
    case 2u: { return vec2f(-c, -s); }
    default: { return vec2f(s, -c); }
  }
}

fn compute(i: u32) {
  let slot = slots[i / params.slotVectors];
  if (params.firstOnly != 0u && slot.draw != 0u) { return; }
  let position = i % params.slotVectors;
  let bits = philox(vec4u(position, params.level, slot.draw, 0u), vec2u(slot.seedLow, slot.seedHigh));
  let a = sqrt(-2.0 * logUniform(bits.x)) * onCircle(bits.y);
  let b = sqrt(-2.0 * logUniform(bits.z)) * onCircle(bits.w);
  // The padding of the last vector stays zero.
  let channel = vec4u(position % params.vectors * 4u) + vec4u(0u, 1u, 2u, 3u);
  output[i] = select(vec4f(), vec4f(a, b), channel < vec4u(params.channels));
}

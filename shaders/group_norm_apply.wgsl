// GroupNorm, third of three: output = activation(input * scale + shift), with scale and shift a row and channel.
// One invocation has one vec4; channels from vectors0 on come from input1 (a concatenation).

struct Params {
  invocations: u32,
  pixels: u32,
  vectors0: u32,
  vectors1: u32,
  activation: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> input0: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> input1: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> affine: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;

#include "elementwise"
#include "activation"

fn compute(i: u32) {
  let width = params.vectors0 + params.vectors1;
  let c = i % width;
  let pixel = i / width;
  let at = pixel / params.pixels * 2u * width + c;
  var x: vec4f;
  if (c < params.vectors0) {
    x = input0[pixel * params.vectors0 + c];
  } else {
    x = input1[pixel * params.vectors1 + c - params.vectors0];
  }
  output[i] = activate(x * affine[at] + affine[at + width], params.activation);
}

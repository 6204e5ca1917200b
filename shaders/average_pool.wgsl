// output = the mean of each ratio x ratio block of pixels. One invocation has one vec4 of one output pixel.

struct Params {
  invocations: u32,
  outputHeight: u32,
  outputWidth: u32,
  vectors: u32,
  ratio: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

#include "elementwise"

fn compute(i: u32) {
  let c = i % params.vectors;
  let pixel = i / params.vectors;
  let x = pixel % params.outputWidth;
  let y = pixel / params.outputWidth; // runs on over the rows, as the input's does
  let inputWidth = params.outputWidth * params.ratio;
  var sum = vec4f();
  for (var dy = 0u; dy < params.ratio; dy++) {
    for (var dx = 0u; dx < params.ratio; dx++) {
      sum += input[((y * params.ratio + dy) * inputWidth + x * params.ratio + dx) * params.vectors + c];
    }
  }
  output[i] = sum / f32(params.ratio * params.ratio);
}

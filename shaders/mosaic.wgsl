// Frames that lie in an image as a square of grid x grid, row by row, to frames of their own - or back.
//
//   frames [rows * grid * grid, height, width, channels]  <->  mosaic [rows, grid * height, grid * width, channels]
//
// One invocation has one vec4 of a frame.

struct Params {
  invocations: u32,
  grid: u32,
  height: u32,
  width: u32,
  vectors: u32,
  toFrames: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

#include "elementwise"

fn compute(i: u32) {
  let c = i % params.vectors;
  let x = i / params.vectors % params.width;
  let y = i / (params.vectors * params.width) % params.height;
  let frame = i / (params.vectors * params.width * params.height);
  let row = frame / (params.grid * params.grid);
  let top = frame / params.grid % params.grid * params.height;
  let left = frame % params.grid * params.width;
  let pixel = (row * params.grid * params.height + top + y) * params.grid * params.width + left + x;
  let m = pixel * params.vectors + c;
  if (params.toFrames != 0u) { output[i] = input[m]; } else { output[m] = input[i]; }
}

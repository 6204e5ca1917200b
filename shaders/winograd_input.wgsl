// Winograd F(4x4, 3x3) (Lavin & Gray, arXiv 1509.09308), first of three: each tile of 4x4 output pixels reads 6x6 input pixels d and
// gives 36 numbers a channel,
//
//   output[k][tile] = (B^T d B)[k]                         [36][tiles][channels]
//
// so that a convolution becomes 36 products of matrices. The points of interpolation are 0, +-1/sqrt(2), +-sqrt(2) and infinity, whose
// error is less than half that of the usual 0, +-1, +-2. Channels from vectors0 on come from input1 (a concatenation). An upsample of
// 2 reads the input as if each pixel were doubled. With useAffine the input is what GroupNorm makes of it, activation(d * scale + shift),
// which is never stored (see group_norm_affine). One invocation has one vec4 of one tile.

struct Params {
  invocations: u32,
  inputHeight: u32,
  inputWidth: u32,
  upsample: u32,
  vectors0: u32,
  vectors1: u32,
  tileRows: u32,
  tileColumns: u32,
  firstLine: u32,
  tiles: u32,
  useAffine: u32,
  activation: u32,
}

#include "params"
@group(0) @binding(1) var<storage, read_write> input0: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> input1: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> affine: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;

#include "elementwise"
#include "activation"

fn transform(d0: vec4f, d1: vec4f, d2: vec4f, d3: vec4f, d4: vec4f, d5: vec4f) -> array<vec4f, 6> {
  let a = d4 - 2.0 * d2;
  let b = 0.7071067811865476 * (d3 - 2.0 * d1);
  let c = d4 - 0.5 * d2;
  let e = 1.4142135623730951 * (d3 - 0.5 * d1);
  return array<vec4f, 6>(d0 - 2.5 * d2 + d4, a + b, a - b, c + e, c - e, d1 - 2.5 * d3 + d5);
}

fn load(pixel: u32, c: u32) -> vec4f {
  if (c < params.vectors0) { return input0[pixel * params.vectors0 + c]; }
  return input1[pixel * params.vectors1 + c - params.vectors0];
}

fn compute(i: u32) {
  let width = params.vectors0 + params.vectors1;
  let c = i % width;
  let tile = i / width;
  let line = params.firstLine + tile / params.tileColumns;
  let row = line / params.tileRows;
  let top = i32(line % params.tileRows * 4u) - 1;
  let left = i32(tile % params.tileColumns * 4u) - 1;
  let height = i32(params.inputHeight * params.upsample);
  let rowWidth = i32(params.inputWidth * params.upsample);
  #for x in 0..6
  let column${x} = left + ${x};
  let inside${x} = column${x} >= 0 && column${x} < rowWidth;
  let cx${x} = u32(clamp(column${x}, 0, rowWidth - 1)) / params.upsample;
  #end
  #for y in 0..6
  let line${y} = top + ${y};
  let within${y} = line${y} >= 0 && line${y} < height;
  let base${y} = (row * params.inputHeight + u32(clamp(line${y}, 0, height - 1)) / params.upsample) * params.inputWidth;
  #for x in 0..6
  var d${y}_${x} = load(base${y} + cx${x}, c);
  #end
  #end
  if (params.useAffine != 0u) {
    let scale = affine[row * 2u * width + c];
    let shift = affine[(row * 2u + 1u) * width + c];
    #for y in 0..6
    #for x in 0..6
    d${y}_${x} = d${y}_${x} * scale + shift;
    #end
    #end
    if (params.activation == 1u) {
      #for y in 0..6
      #for x in 0..6
      d${y}_${x} = silu(d${y}_${x});
      #end
      #end
    }
  }
  #for y in 0..6
  #for x in 0..6
  d${y}_${x} *= select(0.0, 1.0, within${y} && inside${x});
  #end
  #end
  #for x in 0..6
  let t${x} = transform(d0_${x}, d1_${x}, d2_${x}, d3_${x}, d4_${x}, d5_${x});
  #end
  #for y in 0..6
  let r${y} = transform(t0[${y}], t1[${y}], t2[${y}], t3[${y}], t4[${y}], t5[${y}]);
  #for x in 0..6
  output[(${y}u * 6u + ${x}u) * params.tiles * width + i] = r${y}[${x}];
  #end
  #end
}

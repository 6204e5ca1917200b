// What every convolution algorithm shares: its parameters, where a pixel reads, and what follows the sum.
//
//   output[m, co] = activation(sum over ky, kx, ci of input[pixel(m, ky, kx), ci] * weight[co, ky, kx, ci]
//                              + bias[co]) * gate[m, co] + residual[m, co]
//
// Channels last, in vectors; m runs over rows x outputHeight x outputWidth. It is a batched GEMM: each of `gemms` products of matrices
// has gemmPixels pixels, tiles do not cross from one to the next, and if gemmWeights is not 0 each has weights of its own, so many
// vectors apart (Winograd's 36 products, counted from firstGemm). A linear layer has a 1x1 kernel and one row.
// Weights come in panels of output channels: [co / panel][ky][kx][ci][panel], zero where they stand over the edge.
// SOURCES = 2 reads the channels of input0, then of input1: a concatenation that is never made.
// HALF: weights are kept in 16 bits; sums never are.
// An upsample of 2 reads the input as if each pixel were doubled (nearest neighbour).

struct Params {
  gemmPixels: u32,
  gemms: u32,
  firstGemm: u32,
  gemmWeights: u32,
  inputHeight: u32,
  inputWidth: u32,
  outputHeight: u32,
  outputWidth: u32,
  kernelHeight: u32,
  kernelWidth: u32,
  strideY: u32,
  strideX: u32,
  upsampleY: u32,
  upsampleX: u32,
  vectors0: u32,
  vectors1: u32,
  outputVectors: u32,
  activation: u32,
  useBias: u32,
  useGate: u32,
  useResidual: u32,
  useStatistics: u32,
}

#include "params"

#include "activation"

struct Pixel { row: u32, y: i32, x: i32 }

fn pixelAt(m: u32) -> Pixel {
  let area = params.outputHeight * params.outputWidth;
  let row = m / area;
  let rest = m % area;
  return Pixel(
    row,
    i32(rest / params.outputWidth * params.strideY),
    i32(rest % params.outputWidth * params.strideX),
  );
}

// Where an input pixel stands (in pixels) and 1, or somewhere harmless and 0 outside the image.
struct Tap { index: u32, weight: f32 }

fn tapAt(pixel: Pixel, ky: u32, kx: u32) -> Tap {
  let y = pixel.y + i32(ky) - i32(params.kernelHeight / 2u);
  let x = pixel.x + i32(kx) - i32(params.kernelWidth / 2u);
  let height = i32(params.inputHeight * params.upsampleY);
  let width = i32(params.inputWidth * params.upsampleX);
  let inside = y >= 0 && y < height && x >= 0 && x < width;
  let cy = u32(clamp(y, 0, height - 1)) / params.upsampleY;
  let cx = u32(clamp(x, 0, width - 1)) / params.upsampleX;
  return Tap((pixel.row * params.inputHeight + cy) * params.inputWidth + cx, select(0.0, 1.0, inside));
}

// The pixels of a tile: from `first` to before `end`.
struct Tile { gemm: u32, first: u32, end: u32 }

fn tilesOfGemm(size: u32) -> u32 { return (params.gemmPixels + size - 1u) / size; }

fn tileAt(index: u32, size: u32) -> Tile {
  let tiles = tilesOfGemm(size);
  let gemm = index / tiles;
  let start = (params.firstGemm + gemm) * params.gemmPixels;
  return Tile(gemm, start + index % tiles * size, start + params.gemmPixels);
}

// Where the weights of a panel begin, in vectors of them.
fn panelAt(gemm: u32, panel: u32, panelVectors: u32) -> u32 {
  let rows = params.kernelHeight * params.kernelWidth * 4u * (params.vectors0 + params.vectors1);
  return gemm * params.gemmWeights + panel * rows * panelVectors;
}

/**
 * What the kernels have to compute, in float64 and as plainly as it can be written: independent of `src/` and slow on purpose.
 * Each function follows the definition (PyTorch's documentation, or the paper named), not the kernel.
 */

/** A tensor without padding, last dimension fastest; images are [rows, height, width, channels]. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

export type ActivationName = "none" | "silu" | "gelu" | "geluTanh" | "relu";

const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** Computes each number of a tensor from its indices. */
function tabulate(shape: readonly number[], at: (...indices: number[]) => number): Numbers {
  const data = new Float64Array(sizeOf(shape));
  const indices = shape.map(() => 0);
  for (let i = 0; i < data.length; i++) {
    data[i] = at(...indices);
    for (let d = shape.length - 1; d >= 0; d--) {
      if (++indices[d]! < shape[d]!) break;
      indices[d] = 0;
    }
  }
  return { shape, data };
}

/** The number at some indices; 0 outside the tensor. */
function at({ shape, data }: Numbers, ...indices: number[]): number {
  let flat = 0;
  for (const [d, index] of indices.entries()) {
    if (index < 0 || index >= shape[d]!) return 0;
    flat = flat * shape[d]! + index;
  }
  return data[flat]!;
}

/** Merges dimensions without moving numbers. */
export function reshape({ data }: Numbers, shape: readonly number[]): Numbers {
  return { shape, data };
}

/** Row `row` of the first dimension, as a batch of one. */
export function rowOf({ shape, data }: Numbers, row: number): Numbers {
  const size = data.length / shape[0]!;
  return {
    shape: [1, ...shape.slice(1)],
    data: Array.from(data).slice(row * size, (row + 1) * size),
  };
}

// Activations.

/** erf, within 1e-15: a series of positive terms near 0, one minus {@link erfc} elsewhere. */
export function erf(x: number): number {
  if (x < 0) return -erf(-x);
  if (x >= 3) return 1 - erfc(x);
  let term = x;
  let sum = x;
  for (let n = 1; n < 200 && term > 1e-18 * sum; n++) {
    term *= 2 * x * x / (2 * n + 1);
    sum += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
}

/** 1 - erf without its cancellation: from 3 on as a continued fraction. */
export function erfc(x: number): number {
  if (x < 3) return 1 - erf(x);
  let fraction = 0;
  for (let n = 200; n > 0; n--) fraction = n / 2 / (x + fraction);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}

/** An activation, as PyTorch defines it. */
export function activate(x: number, name: ActivationName): number {
  switch (name) {
    case "none":
      return x;
    case "silu":
      return x / (1 + Math.exp(-x));
    case "gelu":
      return x / 2 * erfc(-x / Math.SQRT2);
    case "geluTanh":
      return x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case "relu":
      return x > 0 ? x : 0;
  }
}

// Layers.

/** Channels of `a`, then those of `b`. */
export function concat(a: Numbers, b: Numbers): Numbers {
  const first = a.shape.at(-1)!;
  return tabulate([...a.shape.slice(0, -1), first + b.shape.at(-1)!], (...indices) => {
    const c = indices.at(-1)!;
    return c < first ? at(a, ...indices) : at(b, ...indices.slice(0, -1), c - first);
  });
}

export interface Epilogue {
  readonly bias?: ArrayLike<number>;
  readonly activation?: ActivationName;
  readonly gate?: Numbers;
  readonly residual?: Numbers;
}

/** activation(value + bias) * gate + residual. */
function finish(sum: Numbers, { bias, activation = "none", gate, residual }: Epilogue): Numbers {
  return tabulate(sum.shape, (...indices) => {
    const biased = at(sum, ...indices) + (bias?.[indices.at(-1)!] ?? 0);
    const gated = activate(biased, activation) * (gate === undefined ? 1 : at(gate, ...indices));
    return gated + (residual === undefined ? 0 : at(residual, ...indices));
  });
}

/** Each pixel `factor` times in both directions. */
export function upsample(input: Numbers, factor: number): Numbers {
  const [rows, height, width, channels] = input.shape as [number, number, number, number];
  return tabulate(
    [rows, height * factor, width * factor, channels],
    (row, y, x, c) => at(input, row!, Math.floor(y! / factor), Math.floor(x! / factor), c!),
  );
}

/** A convolution with zero padding of k / 2: F.conv2d(F.interpolate(input), weight [outputs, inputs, k, k], stride). */
export function conv2d(
  input: Numbers,
  weight: Numbers,
  options: Epilogue & { readonly stride?: number; readonly upsample?: number } = {},
): Numbers {
  const image = upsample(input, options.upsample ?? 1);
  const stride = options.stride ?? 1;
  const [rows, height, width, channels] = image.shape as [number, number, number, number];
  const [outputs, , size] = weight.shape as [number, number, number, number];
  const pad = Math.floor(size / 2);
  const length = (n: number) => Math.floor((n + 2 * pad - size) / stride) + 1;
  const sum = tabulate([rows, length(height), length(width), outputs], (row, y, x, output) => {
    let total = 0;
    for (let ky = 0; ky < size; ky++) {
      for (let kx = 0; kx < size; kx++) {
        const [py, px] = [y! * stride + ky - pad, x! * stride + kx - pad];
        if (py < 0 || py >= height || px < 0 || px >= width) continue;
        for (let c = 0; c < channels; c++) {
          total += image.data[((row! * height + py) * width + px) * channels + c]! *
            weight.data[((output! * channels + c) * size + ky) * size + kx]!;
        }
      }
    }
    return total;
  });
  return finish(sum, options);
}

/** nn.Conv1d with zero padding of k / 2 over the frames of [rows, frames, pixels, channels], weight [outputs, inputs, k]. */
export function convTemporal(
  input: Numbers,
  weight: Numbers,
  options: Epilogue & { readonly stride?: number; readonly upsample?: number } = {},
): Numbers {
  const { stride = 1, upsample = 1 } = options;
  const [rows, frames, pixels, channels] = input.shape as [number, number, number, number];
  const [outputs, , size] = weight.shape as [number, number, number];
  const pad = Math.floor(size / 2);
  const length = Math.floor((frames * upsample + 2 * pad - size) / stride) + 1;
  const sum = tabulate([rows, length, pixels, outputs], (row, t, pixel, output) => {
    let total = 0;
    for (let k = 0; k < size; k++) {
      const frame = Math.floor((t! * stride + k - pad) / upsample);
      for (let c = 0; c < channels; c++) {
        total += at(input, row!, frame, pixel!, c) * at(weight, output!, c, k);
      }
    }
    return total;
  });
  return finish(sum, options);
}

/** x W^T + b over the last dimension. */
export function linear(input: Numbers, weight: Numbers, options: Epilogue = {}): Numbers {
  const [outputs, inputs] = weight.shape as [number, number];
  const sum = tabulate([input.data.length / inputs, outputs], (position, output) => {
    let total = 0;
    for (let i = 0; i < inputs; i++) {
      total += input.data[position! * inputs + i]! * weight.data[output! * inputs + i]!;
    }
    return total;
  });
  return finish(reshape(sum, [...input.shape.slice(0, -1), outputs]), options);
}

/** Mean and (biased) variance. */
function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  return { mean, variance: values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length };
}

/**
 * nn.GroupNorm over [rows, ..., channels], then `y (1 + scale) + shift` with film [rows, scales then shifts], then the activation.
 * A row of the film stands for several of the input, one after the other.
 */
export function groupNorm(
  input: Numbers,
  options: {
    readonly weight: ArrayLike<number>;
    readonly bias: ArrayLike<number>;
    readonly groups: number;
    readonly film?: { readonly value: Numbers; readonly offset: number };
    readonly activation?: ActivationName;
  },
): Numbers {
  const { weight, bias, groups, film, activation = "none" } = options;
  const channels = input.shape.at(-1)!;
  const rows = input.shape[0]!;
  const pixels = input.data.length / rows / channels;
  const size = channels / groups;
  const flat = reshape(input, [rows, pixels, channels]);
  const statistics = Array.from(
    { length: rows },
    (_, row) =>
      Array.from({ length: groups }, (_, group) => {
        const values: number[] = [];
        for (let pixel = 0; pixel < pixels; pixel++) {
          for (let k = 0; k < size; k++) values.push(at(flat, row, pixel, group * size + k));
        }
        return moments(values);
      }),
  );
  const result = tabulate(flat.shape, (row, pixel, c) => {
    const { mean, variance } = statistics[row!]![Math.floor(c! / size)]!;
    const y = (at(flat, row!, pixel!, c!) - mean) / Math.sqrt(variance + 1e-5) * weight[c!]! +
      bias[c!]!;
    if (film === undefined) return activate(y, activation);
    const source = Math.floor(row! / (rows / film.value.shape[0]!));
    const scale = at(film.value, source, film.offset + c!);
    const shift = at(film.value, source, film.offset + channels + c!);
    return activate(y * (1 + scale) + shift, activation);
  });
  return reshape(result, input.shape);
}

/** nn.LayerNorm over the last dimension. */
export function layerNorm(
  input: Numbers,
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
): Numbers {
  return normRows(input, (values) => {
    const { mean, variance } = moments(values);
    return values.map((x, i) => (x - mean) / Math.sqrt(variance + 1e-5) * weight[i]! + bias[i]!);
  });
}

/** T5's layer norm: x / sqrt(mean of x^2 + epsilon) * weight. */
export function rmsNorm(input: Numbers, weight: ArrayLike<number>, epsilon: number): Numbers {
  return normRows(input, (values) => {
    const square = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    return values.map((x, i) => x / Math.sqrt(square + epsilon) * weight[i]!);
  });
}

function normRows(input: Numbers, norm: (values: number[]) => number[]): Numbers {
  const width = input.shape.at(-1)!;
  const data: number[] = [];
  for (let i = 0; i < input.data.length; i += width) {
    data.push(...norm(Array.from({ length: width }, (_, k) => input.data[i + k]!)));
  }
  return { shape: input.shape, data };
}

/** Multi-head attention with the softmax of every query written out; a query without keys gives 0. */
export function attention(
  queries: Numbers,
  pairs: Numbers,
  options: {
    readonly heads: number;
    readonly headWidth: number;
    readonly scale: number;
    readonly queryOffset: number;
    readonly keyOffset: number;
    readonly valueOffset: number;
    /** [rows, keys]. */
    readonly mask?: Numbers;
    /** [queries + keys - 1, heads], by key - query + queries - 1. */
    readonly bias?: Numbers;
    readonly addend?: Numbers;
  },
): Numbers {
  const { heads, headWidth, scale, queryOffset, keyOffset, valueOffset } = options;
  const rows = queries.shape[0]!;
  const count = ({ shape }: Numbers) => sizeOf(shape.slice(1, -1));
  const [queryCount, keyCount] = [count(queries), count(pairs)];
  const q = reshape(queries, [rows, queryCount, queries.shape.at(-1)!]);
  const kv = reshape(pairs, [rows, keyCount, pairs.shape.at(-1)!]);
  const width = heads * headWidth;
  const data = new Float64Array(rows * queryCount * width);
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++) {
      const lane = head * headWidth;
      for (let query = 0; query < queryCount; query++) {
        const scores = Array.from({ length: keyCount }, (_, key) => {
          if (options.mask !== undefined && at(options.mask, row, key) === 0) return -Infinity;
          let score = 0;
          for (let d = lane; d < lane + headWidth; d++) {
            score += at(q, row, query, queryOffset + d) * at(kv, row, key, keyOffset + d);
          }
          const place = key - query + queryCount - 1;
          return score * scale + (options.bias === undefined ? 0 : at(options.bias, place, head));
        });
        const highest = Math.max(...scores);
        if (highest === -Infinity) continue;
        const shares = scores.map((score) => Math.exp(score - highest));
        const total = shares.reduce((sum, share) => sum + share, 0);
        for (let d = lane; d < lane + headWidth; d++) {
          let sum = 0;
          for (const [key, share] of shares.entries()) {
            sum += share / total * at(kv, row, key, valueOffset + d);
          }
          data[(row * queryCount + query) * width + d] = sum;
        }
      }
    }
  }
  const result = { shape: [...queries.shape.slice(0, -1), width], data };
  return options.addend === undefined ? result : add(result, options.addend);
}

/** Swaps dimensions 1 and 2 of [rows, frames, pixels, width]. */
function pixelsFirst(input: Numbers): Numbers {
  const [rows, frames, pixels, width] = input.shape as [number, number, number, number];
  return tabulate(
    [rows, pixels, frames, width],
    (row, pixel, frame, c) => at(input, row!, frame!, pixel!, c!),
  );
}

/** {@link attention} of the frames of [rows, frames, pixels, width], each pixel for itself (a mask has a row for each). */
export function attentionOverTime(
  queries: Numbers,
  pairs: Numbers,
  { addend, ...options }: Parameters<typeof attention>[2],
): Numbers {
  const rowsOf = (input: Numbers) => {
    const { shape: [rows, pixels, ...rest], data } = pixelsFirst(input);
    return { shape: [rows! * pixels!, ...rest], data };
  };
  const result = attention(rowsOf(queries), rowsOf(pairs), options);
  const [rows, frames, pixels] = queries.shape as [number, number, number];
  const output = pixelsFirst(reshape(result, [rows, pixels, frames, result.shape[2]!]));
  return addend === undefined ? output : add(output, addend);
}

/**
 * Rotary positions (RoFormer): neighbours, as the parts of a complex number, are turned by frame * frequency. The last dimension is
 * heads of twice as many numbers as there are frequencies; from `rotated` on it stays. PyTorch multiplies in f32.
 */
export function rotary(input: Numbers, frequencies: ArrayLike<number>, rotated: number): Numbers {
  return tabulate(input.shape, (row, frame, pixel, c) => {
    const lane = c! - c! % 2;
    const [x, y] = [
      at(input, row!, frame!, pixel!, lane),
      at(input, row!, frame!, pixel!, lane + 1),
    ];
    if (c! >= rotated) return c! === lane ? x : y;
    const turn = Math.fround(frame! * frequencies[lane / 2 % frequencies.length]!);
    const angle = Math.atan2(y, x) + turn % (2 * Math.PI);
    return Math.hypot(x, y) * (c! === lane ? Math.cos(angle) : Math.sin(angle));
  });
}

/** Mosaics of grid x grid frames cut into frames, row by row: "b (n h) (m w) c -> (b n m) h w c" in einops' words. */
export function framesOf(input: Numbers, grid: number): Numbers {
  const [rows, height, width, channels] = input.shape as [number, number, number, number];
  const [h, w] = [height / grid, width / grid];
  return tabulate([rows * grid * grid, h, w, channels], (frame, y, x, c) => {
    const [n, m] = [Math.floor(frame! / grid) % grid, frame! % grid];
    return at(input, Math.floor(frame! / grid ** 2), n * h + y!, m * w + x!, c!);
  });
}

/** The inverse of {@link framesOf}. */
export function mosaicOf(input: Numbers, grid: number): Numbers {
  const [frames, h, w, channels] = input.shape as [number, number, number, number];
  return tabulate([frames / grid ** 2, h * grid, w * grid, channels], (row, y, x, c) => {
    const frame = (row! * grid + Math.floor(y! / h)) * grid + Math.floor(x! / w);
    return at(input, frame, y! % h, x! % w, c!);
  });
}

/** activation(a + b). */
export function add(a: Numbers, b: Numbers, activation: ActivationName = "none"): Numbers {
  return {
    shape: a.shape,
    data: Array.from(a.data, (x, i) => activate(x + b.data[i]!, activation)),
  };
}

/** Rows of a table [count, width]. */
export function gather(table: Numbers, ids: ArrayLike<number>): Numbers {
  return tabulate([ids.length, table.shape[1]!], (i, k) => at(table, ids[i!]!, k!));
}

/** torch.std of each row (unbiased): [rows, 1]. */
export function deviation(input: Numbers): Numbers {
  const rows = input.shape[0]!;
  const data = Array.from({ length: rows }, (_, row) => {
    const values = Array.from(rowOf(input, row).data);
    return Math.sqrt(moments(values).variance * values.length / (values.length - 1));
  });
  return { shape: [rows, 1], data };
}

/** All rows, again and again, each divided by its divisor [rows, 1]. */
export function repeatRows(input: Numbers, times: number, divisor?: Numbers): Numbers {
  const [rows = 0, ...rest] = input.shape;
  return tabulate([rows * times, ...rest], (row, ...indices) => {
    const source = row! % rows;
    return at(input, source, ...indices) / (divisor === undefined ? 1 : at(divisor, source, 0));
  });
}

/** Sum over positions of weights [rows, positions] times input [rows, positions, width]. */
export function weightedSum(input: Numbers, weights: Numbers): Numbers {
  const [rows, positions, width] = input.shape as [number, number, number];
  return tabulate([rows, width], (row, k) => {
    let sum = 0;
    for (let p = 0; p < positions; p++) sum += at(weights, row!, p) * at(input, row!, p, k!);
    return sum;
  });
}

/** F.avg_pool2d. */
export function averagePool(input: Numbers, ratio: number): Numbers {
  const [rows, height, width, channels] = input.shape as [number, number, number, number];
  return tabulate([rows, height / ratio, width / ratio, channels], (row, y, x, c) => {
    let sum = 0;
    for (let dy = 0; dy < ratio; dy++) {
      for (let dx = 0; dx < ratio; dx++) {
        sum += at(input, row!, y! * ratio + dy, x! * ratio + dx, c!);
      }
    }
    return sum / ratio ** 2;
  });
}

// Diffusion.

/** Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  const word = (n: bigint) => n & 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [c0 * 0xD2511F53n, c2 * 0xCD9E8D57n];
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, word(p1), (p0 >> 32n) ^ c3 ^ k1, word(p0)];
    k0 = word(k0 + 0x9E3779B9n);
    k1 = word(k1 + 0xBB67AE85n);
  }
  return [c0, c1, c2, c3].map(Number);
}

/** Box-Muller on two random words: a radius from 24 bits; an angle from a quarter turn (2 bits) and 24 bits around it. */
export function boxMuller(radiusBits: number, angleBits: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log((Math.floor(radiusBits / 2 ** 8) + 1) / 2 ** 24));
  const quarter = Math.floor(angleBits / 2 ** 30);
  const within = Math.floor(angleBits / 2 ** 6) % 2 ** 24 / 2 ** 24 - 0.5;
  const angle = (quarter + within) * Math.PI / 2;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

/** The noise of one image: [pixels, channels], four numbers a counter, a pixel starting at a counter of its own. */
export function noise(
  seed: number,
  level: number,
  draw: number,
  pixels: number,
  channels: number,
): Numbers {
  const vectors = Math.ceil(channels / 4);
  return tabulate([pixels, channels], (pixel, c) => {
    const place = pixel! * vectors + Math.floor(c! / 4);
    const bits = philox([place, level, draw, 0], [seed % 2 ** 32, Math.floor(seed / 2 ** 32)]);
    const pair = c! % 4 < 2 ? boxMuller(bits[0]!, bits[1]!) : boxMuller(bits[2]!, bits[3]!);
    return pair[c! % 2]!;
  });
}

/** Where torch.quantile looks: it multiplies in f32. */
export function quantileRank(q: number, size: number): { rank: number; fraction: number } {
  const place = Math.fround(Math.fround(q) * Math.fround(size - 1));
  return { rank: Math.floor(place), fraction: place - Math.floor(place) };
}

/** torch.quantile(|values|, q), linear between neighbours. */
export function quantile(values: ArrayLike<number>, q: number): number {
  const sorted = Array.from(values, Math.abs).sort((a, b) => a - b);
  const { rank, fraction } = quantileRank(q, sorted.length);
  return sorted[rank]! + fraction * ((sorted[rank + 1] ?? sorted[rank]!) - sorted[rank]!);
}

/** A prediction bent by tanh to +-outputScale (0: not), guided, and turned into the image it means. */
export function predictX0(
  { latent, conditional, unconditional, guidance = 1 }: {
    readonly latent: ArrayLike<number>;
    readonly conditional: ArrayLike<number>;
    readonly unconditional?: ArrayLike<number>;
    readonly guidance?: number;
  },
  { fromLatent, fromPrediction, imageScale, outputScale }: {
    readonly fromLatent: number;
    readonly fromPrediction: number;
    readonly imageScale: number;
    readonly outputScale: number;
  },
): number[] {
  const bend = (x: number) => outputScale === 0 ? x : outputScale * Math.tanh(x / outputScale);
  return Array.from(latent, (x, i) => {
    const prediction = bend(conditional[i]!);
    const base = unconditional === undefined ? prediction : bend(unconditional[i]!);
    return (fromLatent * x + fromPrediction * (base + guidance * (prediction - base))) * imageScale;
  });
}

export type Threshold =
  | { readonly kind: "none" }
  | { readonly kind: "clip"; readonly limit: number }
  | { readonly kind: "dynamic"; readonly bound: number };

/** One step: the thresholded image, and the latent that follows from it. */
export function samplerUpdate(
  { raw, latent, previous, noise }: Record<
    "raw" | "latent" | "previous" | "noise",
    ArrayLike<number>
  >,
  [a, b, c, d]: readonly [number, number, number, number],
  threshold: Threshold,
  imageScale: number,
): { x0: number[]; latent: number[] } {
  const clip = (x: number, limit: number) => Math.min(limit, Math.max(-limit, x));
  const x0 = Array.from(raw, (x) => {
    switch (threshold.kind) {
      case "none":
        return x / imageScale;
      case "clip":
        return clip(x, threshold.limit) / imageScale;
      case "dynamic":
        return clip(x, threshold.bound) / threshold.bound / imageScale;
    }
  });
  return {
    x0,
    latent: x0.map((x, i) => a * latent[i]! + b * x + c * previous[i]! + d * noise[i]!),
  };
}

/** How tensors of a checkpoint are laid out for a kernel: done once, while weights are loaded. */
export interface Packing {
  /** Names the layout with all that it depends on. */
  readonly key: string;
  /** Size of the packed form. */
  readonly bytes: number;
  /** Lays out tensors, which stand one after the other in their first dimension. */
  pack(tensors: readonly Float32Array[]): Float32Array<ArrayBuffer> | Float16Array<ArrayBuffer>;
}

/** What a convolution's weights need to be packed. */
export interface PanelShape {
  readonly outputs: number;
  /** Channels of each source that is read one after the other; each starts at a vector of its own. */
  readonly inputs: readonly number[];
  /** Kernel height times width. */
  readonly taps: number;
  /** Output channels of a panel. */
  readonly panel: number;
  /** Whether they are kept in 16 bits: lossless for a checkpoint of 16 bits. */
  readonly half: boolean;
}

/**
 * Weights of a convolution or linear layer, [outputs, inputs, taps], as `shaders/conv_common.wgsl` reads them:
 * [outputs / panel][source][tap] in reading order, [input][panel] inside, zero over every edge.
 *
 * Rows whose stride is a power of two would thrash the cache; panels have small ones.
 */
export function panels({ outputs, inputs, taps, panel, half }: PanelShape): Packing {
  const padded = inputs.map((channels) => Math.ceil(channels / 4) * 4);
  const total = inputs.reduce((sum, channels) => sum + channels, 0);
  const rows = taps * padded.reduce((sum, channels) => sum + channels, 0);
  const panelCount = Math.ceil(outputs / panel);
  const elements = panelCount * rows * panel;
  return {
    key: `panels ${outputs} ${inputs.join("+")} ${taps} ${panel}${half ? " half" : ""}`,
    bytes: elements * (half ? 2 : 4),
    pack(tensors) {
      const packed = half ? new Float16Array(elements) : new Float32Array(elements);
      let output = 0;
      for (const tensor of tensors) {
        const count = tensor.length / (total * taps);
        for (let o = 0; o < count; o++, output++) {
          const column = Math.floor(output / panel) * rows * panel + output % panel;
          packOutput(tensor.subarray(o * total * taps, (o + 1) * total * taps), packed, column);
        }
      }
      return packed;
    },
  };

  /** One output's weights, [inputs, taps], into a column of its panel: for each tap, source after source. */
  function packOutput(
    weights: Float32Array,
    packed: Float32Array | Float16Array,
    column: number,
  ): void {
    let at = column;
    for (let tap = 0; tap < taps; tap++) {
      let first = 0;
      for (const [source, channels] of inputs.entries()) {
        for (let ci = 0; ci < channels; ci++) {
          packed[at + ci * panel] = weights[(first + ci) * taps + tap]!;
        }
        first += channels;
        at += padded[source]! * panel;
      }
    }
  }
}

/** Vectors and tables, [count, width] with the width padded to a multiple of four. */
export function rowMajor(count: number, width: number): Packing {
  const stride = Math.ceil(width / 4) * 4;
  return {
    key: `rows ${count} ${width}`,
    bytes: count * stride * 4,
    pack(tensors) {
      const packed = new Float32Array(count * stride);
      let row = 0;
      for (const tensor of tensors) {
        // A bias is one row however many tensors it comes from: without padding rows simply follow each other.
        if (stride === width || count === 1) {
          packed.set(tensor, row);
          row += tensor.length;
        } else {
          for (let i = 0; i < tensor.length / width; i++, row += stride) {
            packed.set(tensor.subarray(i * width, (i + 1) * width), row);
          }
        }
      }
      return packed;
    },
  };
}

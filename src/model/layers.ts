/** The layers with parameters that modules are made of, each named as PyTorch names it. */
import type { Activation } from "../gpu/activation.ts";
import type { Graph } from "../graph/graph.ts";
import type { Parameter, Value } from "../graph/operation.ts";
import { conv2d, convTemporal, type Epilogue, linear } from "../graph/operations/conv2d.ts";
import { type Film, groupNorm } from "../graph/operations/group_norm.ts";
import { layerNorm } from "../graph/operations/layer_norm.ts";
import { reshape } from "../graph/operations/reshape.ts";
import type { Scope } from "./scope.ts";

/** A layer with a weight, and a bias for each of its outputs. */
class Layer {
  readonly path: string;
  readonly weight: Parameter;
  readonly bias: Parameter;

  /** @param shape Of the weight, outputs first. */
  constructor(scope: Scope, shape: readonly [number, ...number[]]) {
    this.path = scope.path;
    this.weight = scope.parameter("weight", shape);
    this.bias = scope.parameter("bias", [shape[0]]);
  }
}

/** A linear layer over the last dimension. */
export class Linear {
  readonly path: string;
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  /** @param shape Of the weight: a 1x1 convolution is a linear layer whose weight is [outputs, inputs, 1, 1]. */
  constructor(
    scope: Scope,
    readonly inputs: number,
    readonly outputs: number,
    { bias = true, shape = [outputs, inputs] }: { bias?: boolean; shape?: readonly number[] } = {},
  ) {
    this.path = scope.path;
    this.weight = scope.parameter("weight", shape);
    this.bias = bias ? scope.parameter("bias", [outputs]) : null;
  }

  /** [..., inputs] to [..., outputs]. */
  forward(graph: Graph, x: Value, epilogue: Epilogue = {}): Value {
    return graph.module(
      this.path,
      () => linear(graph, x, { weight: this.weight, bias: this.bias ?? [], ...epilogue }),
    );
  }
}

/** A 1x1 convolution. */
export class Pointwise extends Linear {
  constructor(scope: Scope, inputs: number, outputs: number) {
    super(scope, inputs, outputs, { shape: [outputs, inputs, 1, 1] });
  }
}

/** A 3x3 convolution with padding 1. */
export class Conv3x3 extends Layer {
  constructor(scope: Scope, inputs: number, outputs: number) {
    super(scope, [outputs, inputs, 3, 3]);
  }

  /** [rows, height, width, inputs] to [rows, height * upsample / stride, ..., outputs]. */
  forward(
    graph: Graph,
    x: Value,
    options: Epilogue & { stride?: 1 | 2; upsample?: 1 | 2 } = {},
  ): Value {
    return graph.module(
      this.path,
      () => conv2d(graph, x, { weight: this.weight, bias: this.bias, ...options }),
    );
  }
}

/** A convolution over time of three frames with padding 1. */
export class TemporalConv extends Layer {
  constructor(scope: Scope, inputs: number, outputs: number) {
    super(scope, [outputs, inputs, 3]);
  }

  /** [videos * frames, height, width, inputs] to [videos * frames * upsample / stride, height, width, outputs]. */
  forward(
    graph: Graph,
    x: Value,
    videos: number,
    options: { stride?: 1 | 2; upsample?: 1 | 2 },
  ): Value {
    return graph.module(this.path, () => {
      const [rows = 1, height = 1, width = 1, channels = 1] = x.shape;
      const frames = reshape(graph, x, [videos, rows / videos, height * width, channels]);
      const y = convTemporal(graph, frames, { weight: this.weight, bias: this.bias, ...options });
      return reshape(graph, y, [videos * y.shape[1]!, height, width, y.shape[3]!]);
    });
  }
}

/** Group normalisation, with what the reference always does right after it. */
export class GroupNorm extends Layer {
  constructor(scope: Scope, readonly groups: number, channels: number) {
    super(scope, [channels]);
  }

  forward(graph: Graph, x: Value, options: { film?: Film; activation?: Activation } = {}): Value {
    const { weight, bias, groups } = this;
    return graph.module(this.path, () => groupNorm(graph, x, { weight, bias, groups, ...options }));
  }
}

/** Layer normalisation over the last dimension. */
export class LayerNorm extends Layer {
  constructor(scope: Scope, width: number) {
    super(scope, [width]);
  }

  forward(graph: Graph, x: Value): Value {
    return graph.module(this.path, () => layerNorm(graph, x, this.weight, this.bias));
  }
}

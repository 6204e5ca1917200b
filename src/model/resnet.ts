import type { Graph } from "../graph/graph.ts";
import type { Value } from "../graph/operation.ts";
import type { Film } from "../graph/operations/group_norm.ts";
import type { ResNetConfig } from "./config.ts";
import { Conv3x3, GroupNorm, Linear, Pointwise } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** A residual block, told the time by a scale and shift of its second norm (`ResNet` in the reference's unet.py). */
export class ResNet {
  readonly path: string;
  readonly outputs: number;
  /** Gives scale and shift from the time embedding; the UNet runs those of all its blocks as one. */
  readonly timeLayer: Linear;
  readonly #norm1: GroupNorm;
  readonly #conv1: Conv3x3;
  readonly #norm2: GroupNorm;
  readonly #conv2: Conv3x3;
  readonly #conv3: Pointwise | null;

  constructor(
    scope: Scope,
    inputs: number,
    outputs: number,
    temporalDim: number,
    config: ResNetConfig,
  ) {
    this.path = scope.path;
    this.outputs = outputs;
    this.#norm1 = new GroupNorm(scope.child("norm1"), config.numGroupsNorm, inputs);
    this.#conv1 = new Conv3x3(scope.child("conv1"), inputs, outputs);
    this.timeLayer = new Linear(scope.child("time_layer"), temporalDim, outputs * 2);
    this.#norm2 = new GroupNorm(scope.child("norm2"), config.numGroupsNorm, outputs);
    this.#conv2 = new Conv3x3(scope.child("conv2"), outputs, outputs);
    this.#conv3 = inputs === outputs ? null : new Pointwise(scope.child("conv3"), inputs, outputs);
  }

  /** [rows, height, width, inputs] (may be a concatenation) to [rows, height, width, outputs]. */
  forward(graph: Graph, x: Value, film: Film): Value {
    return graph.module(this.path, () => {
      let h = this.#norm1.forward(graph, x, { activation: "silu" });
      h = this.#conv1.forward(graph, h);
      h = this.#norm2.forward(graph, h, { film, activation: "silu" });
      const residual = this.#conv3?.forward(graph, x) ?? x;
      return this.#conv2.forward(graph, h, { residual });
    });
  }
}

import type { Graph } from "../graph/graph.ts";
import type { Value } from "../graph/operation.ts";
import { add } from "../graph/operations/add.ts";
import { isNested, type NestedUNetConfig, type UNetConfig } from "./config.ts";
import { Conv3x3, Linear } from "./layers.ts";
import type { StepContext } from "./resnet_block.ts";
import type { Scope } from "./scope.ts";
import { UNet, type UNetInputs } from "./unet.ts";

/** A UNet whose middle is another UNet, of a lower resolution (`NestedUNet` in the reference's nested_unet.py). */
export class NestedUNet extends UNet {
  readonly inner: UNet;
  readonly #inAdapter: Conv3x3 | null;
  readonly #outAdapter: Conv3x3;
  readonly #skipNormalization: boolean;

  constructor(
    scope: Scope,
    config: NestedUNetConfig,
    inputChannels: number,
    outputChannels: number,
  ) {
    super(scope, config, inputChannels, outputChannels);
    this.#skipNormalization = config.skipNormalization;
    this.inner = makeUNet(scope.child("inner_unet"), config.inner, inputChannels, outputChannels);
    const outer = config.resolutionChannels.at(-1)!;
    const inner = config.inner.resolutionChannels[0]!;
    this.#inAdapter = config.skipInnerUnetInput
      ? null
      : new Conv3x3(scope.child("in_adapter"), outer, inner);
    this.#outAdapter = new Conv3x3(scope.child("out_adapter"), inner, outer);
    // The reference makes these two and never uses them, but its checkpoints hold them.
    if (config.interpConditioning) {
      new Linear(scope.child("interp_layer1"), config.temporalDim / 4, config.temporalDim);
      new Linear(scope.child("interp_layer2"), config.temporalDim, config.temporalDim);
    }
  }

  override get unets(): readonly UNet[] {
    return [this, ...this.inner.unets];
  }

  protected override get normalisesInput(): boolean {
    return !this.#skipNormalization;
  }

  protected override middle(
    graph: Graph,
    x: Value,
    _context: StepContext,
    images: readonly Value[],
    inputs: UNetInputs,
  ) {
    const { reused } = inputs;
    if (reused !== null) return { x: add(graph, x, reused), predictions: [], inner: reused };
    const passed = this.#inAdapter?.forward(graph, x) ?? null;
    const { predictions, features } = this.inner.forward(graph, images, inputs, passed);
    const inner = this.#outAdapter.forward(graph, features());
    return { x: add(graph, x, inner), predictions, inner };
  }
}

/** The UNet that a configuration describes, nested or not. */
export function makeUNet(
  scope: Scope,
  config: UNetConfig | NestedUNetConfig,
  inputChannels: number,
  outputChannels: number,
): UNet {
  return isNested(config)
    ? new NestedUNet(scope, config, inputChannels, outputChannels)
    : new UNet(scope, config, inputChannels, outputChannels);
}

import type { Activation } from "../../../src/gpu/activation.ts";
import type { OnnxBuilder } from "../builder.ts";

/** `activation(x)`, in the operators that PyTorch's exporter writes: runtimes recognise those. */
export function activated(to: OnnxBuilder, x: string, activation: Activation): string {
  switch (activation) {
    case "none":
      return x;
    case "silu":
      return to.add("Mul", [x, to.add("Sigmoid", [x])]);
    case "relu":
      return to.add("Relu", [x]);
    case "gelu": {
      const erf = to.add("Erf", [to.add("Div", [x, to.floats([Math.SQRT2])])]);
      const twice = to.add("Mul", [x, to.add("Add", [erf, to.floats([1])])]);
      return to.add("Mul", [twice, to.floats([0.5])]);
    }
    case "geluTanh": {
      const cube = to.add("Mul", [
        to.add("Mul", [to.add("Mul", [x, x]), x]),
        to.floats([0.044715]),
      ]);
      const inner = to.add("Mul", [
        to.add("Add", [x, cube]),
        to.floats([Math.sqrt(2 / Math.PI)]),
      ]);
      const twice = to.add("Mul", [
        x,
        to.add("Add", [to.add("Tanh", [inner]), to.floats([1])]),
      ]);
      return to.add("Mul", [twice, to.floats([0.5])]);
    }
  }
}

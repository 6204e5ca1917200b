import { Graph } from "../../src/graph/graph.ts";
import type { Parameter, Value } from "../../src/graph/operation.ts";
import type { Shape } from "../../src/graph/shape.ts";
import { attention } from "../../src/graph/operations/attention.ts";
import { conv2d, linear } from "../../src/graph/operations/conv2d.ts";
import { groupNorm } from "../../src/graph/operations/group_norm.ts";
import { ATTENTION_NORM_GROUPS, NUM_ATTENTION_HEADS } from "../../src/model/config.ts";
import type { Case, Group } from "./case.ts";
import { plannedAnywhere } from "./plan.ts";
import { randomNumbers } from "./random.ts";

/** Single operations over the shapes of the published models. */
export function kernelCases(): Case[] {
  return [
    convolution([2, 64, 64, 256]),
    convolution([2, 32, 32, 512]),
    convolution([2, 16, 16, 768]),
    convolution([1, 256, 256, 64]),
    convolution([2, 32, 32, 1024], { outputs: 512 }),
    convolution([2, 64, 64, 256], { stride: 2 }),
    matmul(1024),
    matmul(2048),
    layer([2, 16, 16, 768], 3 * 768),
    layer([2, 16, 16, 3072], 768),
    layer([2, 32, 32, 512], 3 * 512),
    layer([2, 128, 2048], 2 * 768),
    selfAttention([2, 16, 16, 768]),
    selfAttention([2, 32, 32, 512]),
    crossAttention([2, 32, 32, 512], 128),
    norm([2, 64, 64, 256]),
    norm([2, 32, 32, 512]),
    norm([2, 16, 16, 768]),
  ];
}

function convolution(
  shape: Shape,
  { outputs = shape.at(-1)!, stride = 1 }: { outputs?: number; stride?: 1 | 2 } = {},
): Case {
  const channels = shape.at(-1)!;
  const name = `conv3x3 ${size(shape)}${outputs === channels ? "" : ` to ${outputs}`}${
    stride === 1 ? "" : ` stride ${stride}`
  }`;
  return kernel(name, "convolution", (graph) =>
    conv2d(graph, graph.input("x", shape), {
      weight: parameter("weight", [outputs, channels, 3, 3]),
      bias: parameter("bias", [outputs]),
      stride,
    }));
}

/** A product of square matrices: a linear layer without bias over as many tokens. */
function matmul(side: number): Case {
  return kernel(
    `matmul ${side}`,
    "linear",
    (graph) =>
      linear(graph, graph.input("x", [1, side, side]), {
        weight: parameter("weight", [side, side]),
      }),
  );
}

/** A linear layer over pixels (a 1x1 convolution) or over tokens. */
function layer(shape: Shape, outputs: number): Case {
  const weight = [outputs, shape.at(-1)!, ...shape.length === 4 ? [1, 1] : []];
  return kernel(
    `linear ${size(shape)} to ${outputs}`,
    "linear",
    (graph) =>
      linear(graph, graph.input("x", shape), {
        weight: parameter("weight", weight),
        bias: parameter("bias", [outputs]),
      }),
  );
}

/** @param shape Of the result; queries, keys and values stand in one input. */
function selfAttention(shape: Shape): Case {
  const width = shape.at(-1)!;
  return kernel(`self-attention ${size(shape)}`, "attention", (graph) => {
    const qkv = graph.input("qkv", [...shape.slice(0, -1), 3 * width]);
    return attention(graph, qkv, {
      ...headsOf(width),
      queryOffset: 0,
      keys: { kv: qkv, keyOffset: width, valueOffset: 2 * width },
    });
  });
}

function crossAttention(shape: Shape, tokens: number): Case {
  const width = shape.at(-1)!;
  return kernel(`cross-attention ${size(shape)} to ${tokens} tokens`, "attention", (graph) => {
    const queries = graph.input("q", shape);
    const kv = graph.input("kv", [shape[0]!, tokens, 2 * width]);
    return attention(graph, queries, {
      ...headsOf(width),
      queryOffset: 0,
      keys: { kv, keyOffset: 0, valueOffset: width },
    });
  });
}

function headsOf(width: number): { heads: number; headWidth: number } {
  return { heads: NUM_ATTENTION_HEADS, headWidth: width / NUM_ATTENTION_HEADS };
}

function norm(shape: Shape): Case {
  const channels = shape.at(-1)!;
  return kernel(
    `group norm, SiLU ${size(shape)}`,
    "group norm",
    (graph) =>
      groupNorm(graph, graph.input("x", shape), {
        weight: parameter("weight", [channels]),
        bias: parameter("bias", [channels]),
        groups: ATTENTION_NORM_GROUPS,
        activation: "silu",
      }),
  );
}

/** A case of one operation on random numbers. */
function kernel(name: string, group: Group, build: (graph: Graph) => Value): Case {
  const makeGraph = () => {
    const graph = new Graph();
    graph.output("y", build(graph));
    return graph;
  };
  return {
    name,
    group,
    large: false,
    checkpoint: null,
    dtype: "F32",
    graph: makeGraph,
    parameters: () => plannedAnywhere(makeGraph()).weights.flatMap(({ parameters }) => parameters),
    inputs: () =>
      Promise.resolve(
        new Map([...makeGraph().inputs].map(([input, { shape }]) => [
          input,
          randomNumbers(`${name} ${input}`, shape),
        ])),
      ),
    reference: null,
  };
}

function parameter(name: string, shape: Shape): Parameter {
  return { name, shape };
}

/** Sizes in the order in which papers and PyTorch say them: 2x256x64x64. */
function size(shape: Shape): string {
  if (shape.length !== 4) return shape.join("x");
  const [rows, height, width, channels] = shape;
  return [rows, channels, height, width].join("x");
}

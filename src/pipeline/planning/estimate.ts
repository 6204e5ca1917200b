import { sessionGraphs, type SessionShape } from "../../diffusion/session_graphs.ts";
import type { KernelPolicy } from "../../gpu/kernel_policy.ts";
import { isHalf, LARGEST_UPLOAD, weightBytes } from "../../gpu/weights.ts";
import type { Graph } from "../../graph/graph.ts";
import { byteLength, elements } from "../../graph/shape.ts";
import { arenaBytes, type Plan, plan } from "../../graph/plan.ts";
import type { Network } from "../../model/network.ts";
import type { T5Encoder } from "../../model/t5.ts";
import { textCapacities } from "../../model/text_inputs.ts";
import { textGraph } from "../../text/text_encoder.ts";

/** Types of tensors by their names: what is kept in 16 bits is half as large. */
interface Types {
  readonly tensors: ReadonlyMap<string, { readonly dtype: string }>;
}

/** What is planned of a model; a ModelSource is one. */
export interface PlannedModel {
  readonly network: Network;
  readonly file: Types;
}

/** What is planned of its text encoder. */
export interface PlannedEncoder {
  readonly model: T5Encoder;
  readonly file: Types;
}

/** What a run needs, known before anything is loaded. */
export interface Estimate {
  readonly plans: {
    /** For texts of the largest size. */
    readonly textEncoder: Plan | null;
    readonly conditioning: Plan;
    readonly films: Plan;
    readonly firstNoise: Plan;
    /** Of those that a run may have, the largest first. */
    readonly steps: readonly Plan[];
  };
  /** Bytes on the GPU. */
  readonly bytes: {
    readonly weights: number;
    /** Activations, and what is kept from step to step. */
    readonly run: number;
    /** The text encoder's weights and activations. */
    readonly text: number;
  };
  /** Bytes of the largest buffer besides weights, which are put into several. */
  readonly largestBuffer: number;
  /** Bytes of the largest piece that a kernel reads or writes. */
  readonly largestBinding: number;
}

/** Plans a run of some shape on a GPU; nothing is read or allocated. */
export function estimate(
  { network, file }: PlannedModel,
  encoder: PlannedEncoder | null,
  shape: SessionShape,
  policy: KernelPolicy,
): Estimate {
  const graphs = sessionGraphs(network, shape);
  const planned = (graph: Graph, types: Types) =>
    plan(graph, { policy, isHalf: (name) => isHalf(types, name) });
  const session = {
    conditioning: planned(graphs.conditioning, file),
    films: planned(graphs.films, file),
    firstNoise: planned(graphs.start, file),
    steps: graphs.steps.map(({ graph }) => planned(graph, file)),
  };
  const parts = Object.values(session).flat();
  const texts = encoder === null ? [] : textCapacities(shape.tokens).map((tokens) => {
    const graph = textGraph(encoder.model, tokens);
    return { graph, plan: planned(graph, encoder.file) };
  });
  const shared = [...graphs.tensors.values()].map(byteLength);
  return {
    plans: { textEncoder: texts.at(-1)?.plan ?? null, ...session },
    bytes: {
      weights: weightBytes(weightsOf(parts)),
      run: arenaBytes(parts) + sum(shared),
      text: weightBytes(weightsOf(texts.map(({ plan }) => plan))) +
        sum(texts.map(({ graph, plan }) => plan.arenaBytes + endBytes(graph))),
    },
    largestBuffer: Math.max(arenaBytes(parts), ...shared),
    largestBinding: Math.max(...parts.flatMap(activations), ...shared),
  };
}

/** Bytes on the GPU when most is there. */
export function gpuBytes({ bytes: { weights, run, text } }: Estimate, lowMemory: boolean): number {
  return lowMemory ? Math.max(text, weights + run) : text + weights + run;
}

/** What Deno, a driver and compiled kernels take: measured with the small model on a software adapter. */
const PROCESS_BYTES = 220 << 20;

/** The most bytes of the process, about: a software adapter's memory is the process's own. */
export function hostBytes(
  estimate: Estimate,
  { deviceClass }: KernelPolicy,
  lowMemory: boolean,
): number {
  const { plans } = estimate;
  const weights = weightsOf(Object.values(plans).flat().filter((part) => part !== null));
  const largest = Math.max(
    ...weights.map(({ parameters, packing }) =>
      packing.bytes + 4 * sum(parameters.map(({ shape }) => elements(shape)))
    ),
  );
  const device = deviceClass === "software" ? gpuBytes(estimate, lowMemory) : 0;
  const upload = Math.min(LARGEST_UPLOAD, weightBytes(weights));
  return PROCESS_BYTES + largest + upload + device;
}

/** The weights of several plans of one model, each once. */
function weightsOf(plans: readonly Plan[]): Plan["weights"] {
  return [...new Map(plans.flatMap(({ weights }) => weights.map((w) => [w.key, w]))).values()];
}

/** Bytes of what goes into a graph and comes out. */
function endBytes({ inputs, outputs }: Graph): number {
  return sum([...inputs.values(), ...outputs.values()].map(({ shape }) => byteLength(shape)));
}

function activations({ locations }: Plan): number[] {
  return [...locations.values()].flatMap((location) =>
    location.kind === "arena" ? [location.bytes] : []
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

import type { Graph } from "../../src/graph/graph.ts";
import type { Value } from "../../src/graph/operation.ts";
import { OnnxBuilder } from "./builder.ts";
import { onnxShape } from "./layout.ts";
import type { OnnxModel, OnnxTensor } from "./model.ts";
import { TRANSLATIONS } from "./operations/mod.ts";
import { unsupported } from "./unsupported.ts";

/**
 * The same computation as an ONNX model: inputs and outputs keep their names, weights are initializers.
 *
 * @throws {MdmError} When an operation has no translation.
 */
export function exportGraph(graph: Graph): OnnxModel {
  const to = new OnnxBuilder();
  for (const [name, value] of graph.inputs) to.bind(value, name);
  for (const node of graph.nodes) {
    const translate = TRANSLATIONS.get(node.operation.name);
    if (translate === undefined) throw unsupported(node, "there is no translation");
    to.translate(node, translate);
  }
  for (const [name, value] of graph.outputs) to.rename(to.name(value), name);
  const ids = indices(graph);
  const tensor = (name: string, { shape }: Value, type: OnnxTensor["type"]): OnnxTensor => ({
    name,
    type,
    shape: onnxShape(shape),
  });
  return {
    inputs: [...graph.inputs].map(([name, value]) =>
      tensor(name, value, ids.has(value) ? "int32" : "float32")
    ),
    outputs: [...graph.outputs].map(([name, value]) => tensor(name, value, "float32")),
    nodes: to.nodes,
    initializers: to.initializers,
  };
}

/** Inputs that hold whole numbers: those that say which rows of a table are taken. */
export function indices(graph: Graph): Set<Value> {
  return new Set(
    graph.nodes
      .filter(({ operation, attributes }) =>
        operation.name === "gather" && (attributes as { ids: unknown }).ids === null
      )
      .map(({ inputs }) => inputs.at(-1)!),
  );
}

import { Graph } from "./graph.ts";
import type { Node, Value } from "./operation.ts";

/** A graph of one node: what it reads are inputs "0", "1" and so on, what it gives is the output "output". */
export function isolate({ operation, attributes, inputs }: Node): Graph {
  const graph = new Graph();
  const outside = (value: Value): Value => {
    const { node } = value;
    // It is no memory of its own.
    if (node?.operation.name === "concat") {
      return graph.apply(node.operation, node.inputs.map(outside), node.attributes);
    }
    return graph.input(String(graph.inputs.size), value.shape);
  };
  graph.output("output", graph.apply(operation, inputs.map(outside), attributes));
  return graph;
}

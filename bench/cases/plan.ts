import type { Graph } from "../../src/graph/graph.ts";
import { type Plan, plan } from "../../src/graph/plan.ts";

/** A plan of which only what is the same for every device may be read: weights and floating-point operations. */
export function plannedAnywhere(graph: Graph): Plan {
  return plan(graph, { policy: { deviceClass: "gpu", subgroupSize: 0 }, isHalf: () => false });
}

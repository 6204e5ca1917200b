import { MdmError } from "../../src/errors.ts";
import type { Node } from "../../src/graph/operation.ts";

/** What is thrown where a node has no translation. */
export function unsupported({ operation, output }: Node, reason: string): MdmError {
  return new MdmError(
    `Cannot export "${operation.name}" in "${output.path}" to ONNX: ${reason}. Add it in bench/onnx/operations.`,
  );
}

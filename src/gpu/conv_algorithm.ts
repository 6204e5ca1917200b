import {
  CONV_ALGORITHMS,
  type ConvAlgorithm,
  type ConvChoice,
  convKey,
  type ConvShape,
} from "./conv_choice.ts";
import type { ConvKernel } from "./conv_kernel.ts";
import { registerKernel } from "./conv_register.ts";
import { hasLanes, subgroupKernel } from "./conv_subgroup.ts";
import { tileConfigurations, workgroupKernel } from "./conv_workgroup.ts";
import type { KernelPolicy } from "./kernel_policy.ts";

/**
 * Chooses the kernel of a convolution.
 *
 * It depends on the size of one row, never on how many rows there are: an image then gets the same bits whatever shares its batch.
 */
export function convKernel(policy: KernelPolicy, shape: ConvShape): ConvKernel {
  const { sources, half } = shape;
  const source = { SOURCES: sources, CONCAT: sources > 1, HALF: half };
  const { algorithm, tiling } = convChoice(policy, shape);
  if (algorithm === "workgroup") return workgroupKernel(shape, source, tiling);
  return algorithm === "subgroup" && hasLanes(policy)
    ? subgroupKernel(policy.subgroupSize, shape, source)
    : registerKernel(shape, source);
}

/** What is forced or was measured, else what is the fastest as a rule; Winograd's own GEMMs are chosen by the rule. */
function convChoice(policy: KernelPolicy, shape: ConvShape): ConvChoice {
  const asked = askedFor(policy, shape);
  if (asked === undefined || asked.algorithm === "winograd") {
    return { algorithm: fastest(policy, shape) };
  }
  return asked;
}

/** What is forced, or was measured for a shape and does not take memory that is scarce. */
export function askedFor(policy: KernelPolicy, shape: ConvShape): ConvChoice | undefined {
  const { convAlgorithm, compact, tuned } = policy;
  if (convAlgorithm !== undefined) return { algorithm: convAlgorithm };
  const measured = shape.batched ? undefined : tuned?.get(convKey(shape));
  return compact && measured?.algorithm === "winograd" ? undefined : measured;
}

/** Every choice that there is for a shape on a device and that could be the fastest. */
export function convChoices(policy: KernelPolicy, shape: ConvShape): ConvChoice[] {
  return CONV_ALGORITHMS.flatMap((algorithm): ConvChoice[] => {
    if (algorithm === "workgroup") {
      return tileConfigurations(shape).map((tiling) => ({ algorithm, tiling }));
    }
    return algorithm === "subgroup" && !hasLanes(policy) ? [] : [{ algorithm }];
  });
}

/** Channels from which on tiles of them are full enough to pay. */
const FEWEST_CHANNELS = 16;

function fastest(policy: KernelPolicy, { outputs }: ConvShape): ConvAlgorithm {
  if (policy.deviceClass === "software") return hasLanes(policy) ? "subgroup" : "register";
  return outputs >= FEWEST_CHANNELS ? "workgroup" : "register";
}

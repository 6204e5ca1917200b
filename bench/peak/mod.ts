import { MdmError } from "../../src/errors.ts";
import { script } from "../peers/mod.ts";

/** How fast the machine can be, in operations a second. */
export interface Peak {
  /** Multiply-adds in registers on the adapter. */
  readonly adapter: number;
  /** PyTorch's product of two large matrices, on the processor; null where there is no PyTorch. */
  readonly torch: number | null;
}

/** Measures both, each in a process of its own. */
export async function measurePeak(python: string | null, threads: number): Promise<Peak> {
  const matmul = new URL("torch_matmul.py", import.meta.url).pathname;
  return {
    adapter: await measured(script("./peak.ts")),
    torch: python === null ? null : await measured([python, matmul, String(threads)]),
  };
}

/** The larger of two measurements of each. */
export function larger(a: Peak, b: Peak): Peak {
  return {
    adapter: Math.max(a.adapter, b.adapter),
    torch: a.torch === null || b.torch === null ? null : Math.max(a.torch, b.torch),
  };
}

async function measured([program, ...args]: [string, ...string[]]): Promise<number> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  if (success) return JSON.parse(new TextDecoder().decode(stdout)).flops;
  throw new MdmError(`The peak cannot be measured: ${new TextDecoder().decode(stderr).trim()}`);
}

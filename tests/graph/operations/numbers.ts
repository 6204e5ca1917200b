import assert from "../../assert.ts";
import type { Numbers } from "../../reference.ts";
import { type Bench, random } from "../run.ts";
import type { Parameter } from "../../../src/graph/operation.ts";

/** A tensor that can be an input of the graph and of the reference. */
export type Input = { shape: number[]; data: Float32Array<ArrayBuffer> };

/** Random numbers between -scale and scale. */
export function numbers(shape: number[], seed: number, scale = 1): Input {
  const count = shape.reduce((product, size) => product * size, 1);
  return { shape, data: random(count, seed).map((x) => x * scale) };
}

/** A parameter's numbers, for the reference. */
export function numbersOf(bench: Bench, { name, shape }: Parameter): Numbers {
  return { shape, data: bench.parameters.get(name)! };
}

/** One row as a batch of its own. */
export function row({ shape, data }: Input, index: number): Input {
  const size = data.length / shape[0]!;
  return { shape: [1, ...shape.slice(1)], data: data.slice(index * size, (index + 1) * size) };
}

/** Asserts that each row of a batch has the bits that it has when it is computed alone. */
export async function assertRowsIndependent(
  inputs: Record<string, Input>,
  run: (inputs: Record<string, Input>) => Promise<Float32Array>,
): Promise<void> {
  const all = await run(inputs);
  const rows = Object.values(inputs)[0]!.shape[0]!;
  for (const index of [0, rows - 1]) {
    const alone = await run(
      Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, row(input, index)])),
    );
    const size = all.length / rows;
    assert.deepEqual(all.slice(index * size, (index + 1) * size), alone, `row ${index}`);
  }
}

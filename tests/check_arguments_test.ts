import assert from "./assert.ts";
import { checkArgument, checkOptions } from "../src/check_arguments.ts";

const ALLOWED = { lowMemory: "boolean", memory: "number", kernels: ["fast", "small"] } as const;

Deno.test("options are checked by name and kind; undefined is absent", () => {
  checkOptions({}, ALLOWED);
  checkOptions({ lowMemory: false, memory: 0, kernels: "fast" }, ALLOWED);
  checkOptions({ lowMemory: undefined }, ALLOWED);
  for (
    const [options, message] of [
      [null, "Cannot use the options null: give an object."],
      [7, "Cannot use the options 7: give an object."],
      [{ lowMemroy: true }, `There is no option "lowMemroy": did you mean "lowMemory"?`],
      [{ toString: 1 }, `There is no option "toString": give lowMemory, memory, kernels.`],
      [{ lowMemory: "yes" }, `Cannot use lowMemory "yes": give true or false.`],
      [{ memory: "4GB" }, `Cannot use memory "4GB": give a number.`],
      [{ memory: NaN }, "Cannot use memory NaN: give a number."],
      [
        { kernels: "fats" },
        `Cannot use kernels "fats": give one of "fast", "small". Did you mean "fast"?`,
      ],
      [{ kernels: ["fast"] }, `Cannot use kernels a list of 1: give one of "fast", "small".`],
    ] as const
  ) assert.throws(() => checkOptions(options, ALLOWED), { name: "UsageError", message });
});

Deno.test("null is no object", () => {
  checkArgument("tuned", "object", {});
  assert.throws(() => checkArgument("tuned", "object", null), {
    name: "UsageError",
    message: "Cannot use tuned null: give an object.",
  });
});

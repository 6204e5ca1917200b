/** The library as programs see it. */
import assert from "./assert.ts";
import { fileURLToPath } from "node:url";
import project from "../deno.json" with { type: "json" };

interface Documented {
  readonly name: string;
  readonly declarations: readonly {
    readonly jsDoc?: {
      readonly tags?: readonly { readonly kind: string; readonly doc?: string }[];
    };
  }[];
}

Deno.test("every export has an example, which the tests run", async () => {
  const mod = fileURLToPath(new URL("../mod.ts", import.meta.url));
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", mod],
    stdin: "null",
  }).output();
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout));
  const symbols: Documented[] = Object.values<{ symbols: Documented[] }>(nodes)[0]!.symbols;
  assert.ok(symbols.length > 30);
  const without = symbols.filter(({ declarations }) =>
    !declarations.some(({ jsDoc }) =>
      jsDoc?.tags?.some(({ kind, doc = "" }) => kind === "example" && doc.includes("```ts\n"))
    )
  );
  assert.deepEqual(without.map(({ name }) => name), []);
  assert.match(project.tasks.test.command, /^deno test .*--doc .* tests mod\.ts src$/);
});

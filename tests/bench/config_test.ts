import assert from "node:assert/strict";
import bench from "../../bench/deno.json" with { type: "json" };
import project from "../../deno.json" with { type: "json" };

Deno.test("the bench runs our code with our own settings", () => {
  assert.deepEqual(bench.compilerOptions, project.compilerOptions);
  for (const [name, target] of Object.entries(project.imports)) {
    assert.equal((bench.imports as Record<string, string>)[name], target, name);
  }
});

import assert from "node:assert/strict";
import bench from "../../bench/deno.json" with { type: "json" };
import project from "../../deno.json" with { type: "json" };

Deno.test("the bench runs our code with our own settings", () => {
  assert.deepEqual(bench.compilerOptions, project.compilerOptions);
  // What only the worker needs is not there; what is, is the same.
  const ours: Record<string, string> = project.imports;
  for (const [name, target] of Object.entries(bench.imports)) {
    assert.equal(ours[name] ?? target, target, name);
  }
  assert.ok(Object.keys(bench.imports).filter((name) => name in ours).length > 3);
});

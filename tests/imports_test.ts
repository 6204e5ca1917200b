import assert from "./assert.ts";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../", import.meta.url);

/** The files of `src` that each of them imports, types included. */
async function importsOfFiles(): Promise<Map<string, string[]>> {
  const imports = new Map<string, string[]>();
  const visit = async (folder: URL) => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const url = new URL(isDirectory ? `${name}/` : name, folder);
      if (isDirectory) await visit(url);
      else if (name.endsWith(".ts")) imports.set(pathOf(url), await importsOf(url));
    }
  };
  await visit(new URL("src/", ROOT));
  return imports;
}

async function importsOf(file: URL): Promise<string[]> {
  const text = await Deno.readTextFile(file);
  return [...text.matchAll(/\b(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g)]
    .map(([, specifier]) => pathOf(new URL(specifier!, file)))
    .filter((path) => path.startsWith("src/"));
}

function pathOf(url: URL): string {
  return relative(fileURLToPath(ROOT), fileURLToPath(url));
}

/** A way from a node back to itself, or null. */
function circleIn(edges: ReadonlyMap<string, Iterable<string>>): string[] | null {
  const done = new Set<string>();
  const search = (node: string, path: readonly string[]): string[] | null => {
    const again = path.indexOf(node);
    if (again >= 0) return [...path.slice(again), node];
    if (done.has(node)) return null;
    done.add(node);
    for (const next of edges.get(node) ?? []) {
      const circle = search(next, [...path, node]);
      if (circle !== null) return circle;
    }
    return null;
  };
  for (const node of edges.keys()) {
    const circle = search(node, []);
    if (circle !== null) return circle;
  }
  return null;
}

Deno.test("circles are found", () => {
  const edges = { a: ["b", "c"], b: ["c"], c: ["d"], d: [] as string[], e: ["e"] };
  assert.deepEqual(circleIn(new Map(Object.entries(edges))), ["e", "e"]);
  assert.equal(circleIn(new Map(Object.entries({ ...edges, e: ["a"] }))), null);
  const back = { ...edges, e: [], d: ["b"] };
  assert.deepEqual(circleIn(new Map(Object.entries(back))), ["b", "c", "d", "b"]);
});

Deno.test("no files import each other in a circle", async () => {
  const imports = await importsOfFiles();
  assert.ok(imports.get("src/graph/plan.ts")?.includes("src/graph/lowering.ts"));
  assert.ok(imports.get("src/checkpoint/open_tensor_file.ts")?.some((f) => f.includes("/torch/")));
  assert.equal(circleIn(imports)?.join(" -> "), undefined);
});

Deno.test("folders import only those that follow them in ARCHITECTURE.md's table", async () => {
  const text = await Deno.readTextFile(new URL("ARCHITECTURE.md", ROOT));
  const order = [...text.matchAll(/^\| `src\/(\w+)`/gm)].map(([, name]) => name!);
  assert.ok(order.length > 10);
  const folderOf = (path: string) => /^src\/(\w+)\//.exec(path)?.[1];
  for (const [file, imported] of await importsOfFiles()) {
    const folder = folderOf(file);
    if (folder !== undefined) assert.ok(order.includes(folder), `"src/${folder}" is not in it`);
    for (const other of imported.map(folderOf)) {
      // Files of src itself are for all folders, so they import none but packages.
      if (other === undefined || folder === undefined && other === "deps") continue;
      assert.ok(folder !== undefined, `"${file}" imports "src/${other}"`);
      assert.ok(order.indexOf(folder) <= order.indexOf(other), `"${file}" imports "src/${other}"`);
    }
  }
});

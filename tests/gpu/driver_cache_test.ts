import assert from "../assert.ts";
import { Gpu } from "../../src/gpu/device.ts";

const MODULE = new URL("../../src/gpu/driver_cache.ts", import.meta.url);

/** Asks in a process of its own: drivers look at their variables once. */
async function keepsCompiled(env: Record<string, string>): Promise<boolean | null> {
  const code = `import { keepsCompiled } from "${MODULE}";
    console.log(JSON.stringify(await keepsCompiled()));`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", code], env, stderr: "null" });
  return JSON.parse(new TextDecoder().decode((await child.output()).stdout));
}

Deno.test("whether Mesa keeps what it compiles is found out", async () => {
  using gpu = await Gpu.open();
  if (!gpu.info.name.includes("llvmpipe")) {
    return assert.notEqual(await keepsCompiled({}), false);
  }
  const folder = await Deno.makeTempDir();
  try {
    assert.equal(await keepsCompiled({ MESA_SHADER_CACHE_DIR: folder }), true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  assert.equal(await keepsCompiled({ MESA_SHADER_CACHE_DISABLE: "true" }), false);
});

import assert from "../assert.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Kernel } from "../../src/gpu/kernel.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { inOwnLines } from "../../src/gpu/shader_error.ts";

const SOURCE = `struct Params { count: u32 }
#include "params"
@group(0) @binding(1) var<storage, read> x: array<u32>;
#for i in 0..3
fn unrolled\${i}() {}
#end
#include "helper"

@compute @workgroup_size(1)
fn main() {
  loadParams(0u);
  #if WRITES
  x[0] = helper();
  #end
}`;
const PARAMS = `struct ParamsBlock { @size(\${PARAMS_BYTES}) values: Params }
@group(0) @binding(0) var<uniform> paramsBlock: array<ParamsBlock, 1>;
var<private> params: Params;
fn loadParams(zero: u32) { params = paramsBlock[zero].values; }`;

/** What is said of a shader with an include. */
async function refusal(helper: string, WRITES: boolean): Promise<string> {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  const kernel = new Kernel("broken", SOURCE, { params: PARAMS, helper });
  try {
    await pipelines.get(kernel, { WRITES });
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

Deno.test("a shader's error has the file and line in which it was written", async () => {
  const right = "fn helper() -> u32 {\n  return 1u;\n}";
  assert.equal(await refusal(right, false), "");
  // A line of the kernel's own file, after loops and includes that have other numbers of lines.
  const own = await refusal(right, true);
  assert.match(own, /shader "broken" .*┌─ shaders\/broken\.wgsl:13 │ 13 │ x\[0\] = helper\(\)/);
  // A line of an included file.
  const included = await refusal("fn helper() -> u32 {\n  return wrong;\n}", false);
  assert.match(included, /┌─ shaders\/helper\.wgsl:2 │ 2 │ return wrong;/);
});

Deno.test("a message without a place, or with one that is not in the shader, stays as it is", () => {
  const lines = [{ text: "a", file: "a", line: 1 }];
  for (const message of ["Workgroup size is out of range", "┌─ wgsl:2:1\n2 │ b", "at 1:1"]) {
    assert.equal(inOwnLines(message, lines), message);
  }
});

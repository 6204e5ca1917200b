import assert from "../assert.ts";
import { bindingSlots, Kernel, spread } from "../../src/gpu/kernel.ts";
import { convKernel } from "../../src/gpu/conv_algorithm.ts";
import type { ConvAlgorithm } from "../../src/gpu/conv_choice.ts";
import { kernels, WORKGROUP } from "../../src/gpu/kernels.ts";
import type { TemplateValues } from "../../src/gpu/template.ts";

const source = `
struct Params {
  count: u32, // how many
  shift: i32,
  scale: f32,
  // a comment, with a comma
  last: u32,
  fifth: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
#if TWO
@group(0) @binding(7)
var<storage, read_write> input1: array<f32>;
#end
@group(0) @binding(2) var<storage,read_write> output: array<vec4f>;
`;
const kernel = new Kernel("sample", source);
const values = { count: 4_000_000_000, shift: -2, scale: 0.5, last: 7, fifth: -1.25 };

Deno.test("parameters and bindings are read from the shader", () => {
  assert.deepEqual(kernel.params, [
    { name: "count", type: "u32" },
    { name: "shift", type: "i32" },
    { name: "scale", type: "f32" },
    { name: "last", type: "u32" },
    { name: "fifth", type: "f32" },
  ]);
  assert.deepEqual(bindingSlots(kernel.expand({ TWO: true })), [
    { name: "weight", binding: 1, access: "read" },
    { name: "input1", binding: 7, access: "read_write" },
    { name: "output", binding: 2, access: "read_write" },
  ]);
  assert.deepEqual(bindingSlots("var<workgroup> parts: array<f32, 64>;"), []);
});

Deno.test("Params is packed in the shader's order, padded to 16 bytes with zeros", () => {
  const bytes = kernel.packParams(Object.fromEntries(Object.entries(values).toReversed()));
  assert.equal(bytes.byteLength, 32);
  const view = new DataView(bytes);
  assert.equal(view.getUint32(0, true), 4_000_000_000);
  assert.equal(view.getInt32(4, true), -2);
  assert.equal(view.getFloat32(8, true), 0.5);
  assert.equal(view.getUint32(12, true), 7);
  assert.equal(view.getFloat32(16, true), -1.25);
  assert.deepEqual(new Uint8Array(bytes, 20), new Uint8Array(12));
});

Deno.test("a parameter missing, too many, fractional or out of range is refused", () => {
  const { last: _, ...missing } = values;
  const mistakes: [Record<string, number>, string][] = [
    [missing, 'Kernel "sample" needs parameter "last"'],
    [{ ...values, surplus: 1 }, 'Kernel "sample" has no parameter "surplus"'],
    [{ ...values, count: 1.5 }, 'Kernel "sample" needs a whole number for "count", not 1.5'],
    [{ ...values, shift: NaN }, 'Kernel "sample" needs a whole number for "shift", not NaN'],
    [{ ...values, last: -1 }, 'Kernel "sample" cannot hold -1 in "last" (u32)'],
    [{ ...values, count: 2 ** 32 }, 'Kernel "sample" cannot hold 4294967296 in "count" (u32)'],
    [{ ...values, shift: 2 ** 31 }, 'Kernel "sample" cannot hold 2147483648 in "shift" (i32)'],
  ];
  for (const [params, message] of mistakes) {
    assert.throws(() => kernel.packParams(params), new Error(message));
  }
});

Deno.test("a shader without Params, or with a type that cannot be packed, is refused", () => {
  assert.throws(
    () => new Kernel("x", "fn main() {}"),
    new Error('Kernel "x" has no struct Params'),
  );
  assert.throws(
    () => new Kernel("x", "struct Params { size: vec2u }"),
    new Error('Kernel "x" has a parameter "size: vec2u"'),
  );
});

Deno.test("spread covers the count and stays within WebGPU's limit", () => {
  assert.deepEqual(spread(1), [1, 1, 1]);
  assert.deepEqual(spread(65535, 3), [3, 65535, 1]);
  for (const count of [65536, 100_001, 10_000_000]) {
    const [x, y, z] = spread(count);
    assert.equal(x, 1);
    assert.ok(y <= 65535 && z <= 65535 && y * z >= count && y * (z - 1) < count);
  }
});

function convConstants(name: ConvAlgorithm): TemplateValues[] {
  return [1, 2].flatMap((sources) =>
    [true, false].flatMap((half) =>
      [32, 64].map((outputs) =>
        convKernel(
          { deviceClass: "software", subgroupSize: 16, convAlgorithm: name },
          { pixels: 64, outputs, depth: 144, sources, half },
        ).constants
      )
    )
  );
}

Deno.test("each kernel is a file of its name whose known variants expand completely", async () => {
  const variants: Record<string, TemplateValues[]> = {
    attention: [true, false].map((VECTOR) => ({ WORKGROUP, VECTOR, WIDTH: 3 })),
    attentionSubgroup: [1, 2].flatMap((SOURCES) =>
      [true, false].map((BIAS) => ({ LANES: 8, WIDTH: 3, SOURCES, BIAS }))
    ),
    winogradOutput: [{ WORKGROUP, NARROW: false }],
    groupNorm: [{ WORKGROUP, CHANNELS: WORKGROUP * 4 }],
    convSubgroup: convConstants("subgroup"),
    convRegister: convConstants("register"),
    convSum: [{ WORKGROUP, NARROW: false }],
    convWorkgroup: convConstants("workgroup"),
  };
  for (const [key, kernel] of Object.entries(kernels)) {
    const file = new URL(`../../shaders/${kernel.name}.wgsl`, import.meta.url);
    assert.equal(kernel.source, await Deno.readTextFile(file));
    assert.equal(kernel.name.replace(/_(\w)/g, (_, c) => c.toUpperCase()), key);
    for (const constants of variants[key] ?? [{ WORKGROUP }]) {
      const code = kernel.expand(constants);
      assert.doesNotMatch(code, /\$\{|^\s*#/m, key);
      assert.match(code, /@compute @workgroup_size\(/, key);
      assert.match(code, /fn main\(/, key);
      const bindings = bindingSlots(code).map((slot) => slot.binding);
      assert.equal(new Set([0, ...bindings]).size, bindings.length + 1, `${key}: a binding twice`);
    }
  }
});

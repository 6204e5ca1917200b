import { type ExpandedLine, expandLines, type TemplateValues } from "./template.ts";

/** How a kernel sees one of its buffers. */
export type Access = "uniform" | "read" | "read_write";

/** One `@binding` of a shader. */
export interface BindingSlot {
  readonly name: string;
  readonly binding: number;
  readonly access: Access;
}

/** One field of a shader's `Params`. */
export interface ParamField {
  readonly name: string;
  readonly type: "u32" | "i32" | "f32";
}

/**
 * A kernel is a WGSL file. Its bindings and the fields of its `Params` are read from the file itself, so that the
 * names there are the names here and nothing is said twice.
 */
export class Kernel {
  readonly params: readonly ParamField[];

  constructor(
    readonly name: string,
    /** The template's text: `import text from "../../shaders/x.wgsl" with { type: "text" }`. */
    readonly source: string,
    readonly includes: Readonly<Record<string, string>> = {},
  ) {
    this.params = paramFields(name, [source, ...included(source, includes)].join("\n"));
  }

  /** The shader for some values of its template's names. */
  expand(constants: TemplateValues): string {
    return this.lines(constants).map(({ text }) => text).join("\n");
  }

  /** {@linkcode expand}, with the shader file and line of each line. */
  lines(constants: TemplateValues): ExpandedLine[] {
    const values = { ...constants, PARAMS_BYTES: this.#paramsBytes };
    return expandLines(this.name, this.source, values, this.includes);
  }

  /** A uniform buffer's elements have to be multiples of 16 bytes. */
  get #paramsBytes(): number {
    return Math.ceil(this.params.length / 4) * 16;
  }

  /** Packs values into the bytes of `Params`; every field has to be there, and nothing else. */
  packParams(values: Readonly<Record<string, number>>): ArrayBuffer {
    const bytes = new ArrayBuffer(this.#paramsBytes);
    const view = new DataView(bytes);
    const known = new Set(this.params.map((field) => field.name));
    for (const name of Object.keys(values)) {
      if (!known.has(name)) throw new Error(`Kernel "${this.name}" has no parameter "${name}"`);
    }
    this.params.forEach(({ name, type }, index) => {
      const value = values[name];
      if (value === undefined) throw new Error(`Kernel "${this.name}" needs parameter "${name}"`);
      if (type === "f32") view.setFloat32(index * 4, value, true);
      else if (!Number.isInteger(value)) {
        throw new Error(`Kernel "${this.name}" needs a whole number for "${name}", not ${value}`);
      } else if (value !== (type === "u32" ? value >>> 0 : value | 0)) {
        throw new Error(`Kernel "${this.name}" cannot hold ${value} in "${name}" (${type})`);
      } else if (type === "u32") view.setUint32(index * 4, value, true);
      else view.setInt32(index * 4, value, true);
    });
    return bytes;
  }
}

/** The buffers that an expanded shader declares; `params` (the uniform) is not among them. */
export function bindingSlots(source: string): BindingSlot[] {
  const pattern =
    /@group\(0\)\s*@binding\((\d+)\)\s*var<(uniform|storage,\s*(read_write|read))>\s*(\w+)/g;
  return [...source.matchAll(pattern)]
    .filter((match) => match[2] !== "uniform")
    .map((match) => ({
      binding: Number(match[1]),
      access: match[3] as Access,
      name: match[4]!,
    }));
}

/** The texts that a template includes itself. */
function included(source: string, includes: Readonly<Record<string, string>>): string[] {
  return [...source.matchAll(/^#include "(\w+)"$/gm)].map((match) => includes[match[1]!] ?? "");
}

function paramFields(kernel: string, source: string): ParamField[] {
  const body = /struct Params \{([^}]*)\}/.exec(source)?.[1];
  if (body === undefined) throw new Error(`Kernel "${kernel}" has no struct Params`);
  return body
    .replace(/\/\/.*$/gm, "")
    .split(",")
    .map((field) => field.trim())
    .filter((field) => field !== "")
    .map((field) => {
      const match = /^(\w+):\s*(u32|i32|f32)$/.exec(field);
      if (match === null) throw new Error(`Kernel "${kernel}" has a parameter "${field}"`);
      return { name: match[1]!, type: match[2] as ParamField["type"] };
    });
}

/** A range of a GPU buffer, in bytes. */
export interface BufferRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** One call of a kernel; `Buffer` is whatever names memory at that stage (a value to be placed, or a range). */
export interface Dispatch<Buffer> {
  readonly kernel: Kernel;
  readonly constants: TemplateValues;
  readonly params: Readonly<Record<string, number>>;
  /** By binding name. A name left out is bound to memory that nothing reads. */
  readonly buffers: Readonly<Record<string, Buffer>>;
  readonly workgroups: readonly [number, number, number];
  /** Multiplications and additions, for reports. */
  readonly flops?: number;
}

/** WebGPU allows this many workgroups in a dimension. */
const MAX_WORKGROUPS = 65535;

/** A grid of at least `count` workgroups from `y` on: shaders find theirs as `y + z * num_workgroups.y`. */
export function spread(count: number, x = 1): [number, number, number] {
  const z = Math.ceil(count / MAX_WORKGROUPS);
  return [x, Math.ceil(count / z), z];
}

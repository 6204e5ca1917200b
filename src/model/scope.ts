import type { Parameter } from "../graph/operation.ts";

/** Where a module stands in a model; parameters are declared here, under the reference's names. */
export class Scope {
  constructor(
    /** Every parameter declared so far, by its whole name. */
    readonly parameters: Map<string, Parameter> = new Map(),
    /** `inner_unet.up_blocks.1`, empty for the model itself. */
    readonly path: string = "",
  ) {}

  /** The scope of a submodule. */
  child(name: string | number): Scope {
    return new Scope(this.parameters, this.join(String(name)));
  }

  /** Declares a parameter. */
  parameter(name: string, shape: readonly number[]): Parameter {
    const parameter = { name: this.join(name), shape };
    this.parameters.set(parameter.name, parameter);
    return parameter;
  }

  /** A name within this scope, in full. */
  join(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }
}

import type { TensorDescription, TensorFile } from "./tensor_file.ts";
import { noTensor } from "./unreadable.ts";

/** A tensor of a file under another name and in another shape of as many elements. */
export interface RenamedTensor {
  readonly file: TensorFile;
  /** Its name in the file. */
  readonly stored: string;
  readonly shape: readonly number[];
}

/** Tensors of one or several files as one file with other names; it closes them. */
export class RenamedTensors implements TensorFile {
  readonly tensors: ReadonlyMap<string, TensorDescription>;
  readonly unreadable: ReadonlyMap<string, string>;

  constructor(
    readonly path: string,
    private readonly originals: readonly TensorFile[],
    private readonly renamed: ReadonlyMap<string, RenamedTensor>,
  ) {
    const tensors = new Map<string, TensorDescription>();
    const unreadable = new Map<string, string>();
    for (const [name, { file, stored, shape }] of renamed) {
      const tensor = file.tensors.get(stored);
      if (tensor !== undefined) tensors.set(name, { name, shape, dtype: tensor.dtype });
      const problem = file.unreadable.get(stored);
      if (problem !== undefined) unreadable.set(name, problem);
    }
    this.tensors = tensors;
    this.unreadable = unreadable;
  }

  get format(): string {
    return this.originals[0]!.format;
  }

  get unknownRecords(): ReadonlyMap<string, number> {
    return this.originals[0]!.unknownRecords ?? new Map();
  }

  configuration(): Record<string, unknown> | undefined {
    return this.originals[0]!.configuration?.();
  }

  get files(): readonly string[] {
    return this.originals.flatMap(({ files }) => files);
  }

  async readFloat32(name: string): Promise<Float32Array> {
    const { file, stored } = this.#tensor(name);
    return await file.readFloat32(stored);
  }

  async readFloat32Range(name: string, start: number, count: number): Promise<Float32Array> {
    const { file, stored } = this.#tensor(name);
    return await file.readFloat32Range(stored, start, count);
  }

  close(): void {
    for (const file of this.originals) file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #tensor(name: string): RenamedTensor {
    const tensor = this.renamed.get(name);
    if (tensor === undefined || this.unreadable.has(name)) throw noTensor(this, name);
    return tensor;
  }
}

import { loadError, quote } from "./header.ts";
import type { TensorDescription, TensorFile } from "./tensor_file.ts";

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

  constructor(
    readonly path: string,
    private readonly originals: readonly TensorFile[],
    private readonly renamed: ReadonlyMap<string, RenamedTensor>,
  ) {
    this.tensors = new Map(
      [...renamed].map(([name, { file, stored, shape }]) => [
        name,
        { name, shape, dtype: file.tensors.get(stored)!.dtype },
      ]),
    );
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
    if (tensor === undefined) throw loadError(this.path, `it holds no tensor ${quote(name)}`);
    return tensor;
  }
}

/** What a file of tensors says about one of them. */
export interface TensorDescription {
  readonly name: string;
  /** A `Dtype`, or the file's own name for one that is not read. */
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** A file of named tensors, open for reading in ranges, in whichever format. */
export interface TensorFile extends Disposable {
  readonly path: string;
  /** Every file that is read. */
  readonly files: readonly string[];
  /** What it is, in words: "torch checkpoint (zip)". */
  readonly format: string;
  /** Every tensor by its name, in the file's order. */
  readonly tensors: ReadonlyMap<string, TensorDescription>;
  /**
   * Names under which something stands that cannot be read, and why, as the end of a sentence: "is a
   * sparse tensor". Nothing is wrong with that as long as it is not read.
   */
  readonly unreadable: ReadonlyMap<string, string>;
  /** Reads a whole tensor as float32, in row-major order. */
  readFloat32(name: string): Promise<Float32Array>;
  /** Reads `count` elements from element `start` on, in row-major order. */
  readFloat32Range(name: string, start: number, count: number): Promise<Float32Array>;
  /** The configuration that was saved with the tensors, in formats that can hold one. */
  configuration?(): Record<string, unknown> | undefined;
  /** How often objects of each class that is not known here are in it, in formats that have such. */
  readonly unknownRecords?: ReadonlyMap<string, number>;
  close(): void;
}

import { asReadError, openFile } from "../files/read_file.ts";
import { loadError } from "./header.ts";

/**
 * Bytes up to which a read is waited for: handing it to another thread and back takes 0.2 ms, as
 * much as reading so many, and a model has hundreds of tensors.
 */
const SMALL = 256 << 10;

/** Bytes that are read in ranges. */
export interface ByteSource {
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A regular file that is read in ranges, from anywhere and by several callers at a time. */
export class RangedFile implements ByteSource, Disposable {
  /** The last read to be queued; it never rejects. */
  #queue: Promise<void> = Promise.resolve();

  private constructor(
    readonly path: string,
    private readonly file: Deno.FsFile,
    /** Bytes. */
    readonly size: number,
  ) {}

  /** @throws {MdmError} when the path is missing, not a file, or may not be read */
  static async open(path: string): Promise<RangedFile> {
    const { file, size } = await openFile(path);
    return new RangedFile(path, file, size);
  }

  /**
   * Reads bytes `offset` to `offset + length`; the caller checks them against `size` beforehand.
   * Reads wait for one another, since a file has one position and seek and read are two calls.
   *
   * @throws {MdmError} when the file has become shorter
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = this.#queue.then(() => this.#readAt(offset, length));
    this.#queue = bytes.then(() => {}, () => {});
    return bytes;
  }

  /** Closes the file; nothing can be read after. */
  close(): void {
    this.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #readAt(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    try {
      this.file.seekSync(offset, Deno.SeekMode.Start);
      for (let done = 0; done < length;) {
        const rest = bytes.subarray(done);
        const got = length <= SMALL ? this.file.readSync(rest) : await this.file.read(rest);
        if (got === null) throw loadError(this.path, "it became shorter while it was read");
        done += got;
      }
    } catch (error) {
      throw asReadError(this.path, error);
    }
    return bytes;
  }
}

/** Which model it is, to the last bit. */
import { fingerprint } from "../checkpoint/fingerprint.ts";
import type { ModelSource } from "../pipeline/models/model_source.ts";
import type { ModelVersion } from "./jobs.ts";

/** Reads all of a model's files, once. Where that fails it is tried again when the version is asked for. */
export class VersionReader implements AsyncDisposable {
  #read: Promise<ModelVersion> | null = null;
  readonly #stop = new AbortController();

  constructor(private readonly source: Pick<ModelSource, "files">) {}

  version(): Promise<ModelVersion> {
    this.#read ??= this.#files().catch((error) => {
      this.#read = null;
      throw error;
    });
    return this.#read;
  }

  async #files(): Promise<ModelVersion> {
    const paths = await this.source.files();
    const id = await fingerprint(paths, this.#stop.signal);
    const infos = await Promise.all(paths.map((path) => Deno.stat(path)));
    return { id, changedAt: Math.max(...infos.map(({ mtime }) => mtime?.getTime() ?? 0)) };
  }

  /** Reads no further. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#read?.catch(() => {});
  }
}

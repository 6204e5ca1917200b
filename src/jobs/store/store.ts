/** Where the files of jobs are. */

/** A part of a file: its first byte and its last one, counted from 0. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** A file to be read. */
export interface StoredFile {
  /** All of it, or the part that was asked for. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Of the whole file. */
  readonly bytes: number;
}

/**
 * Keeps files of jobs, by job and name. Names are ours: ids are letters, digits, "-" and "_"; names may have dots as well, but do not
 * begin with one. Anything else is refused. Where files are may be away or full for a while: then methods are `Unavailable`.
 */
export interface ResultStore extends AsyncDisposable {
  /** What it is called in sentences: 'the results in "mdm-data/results"'. */
  readonly name: string;
  /** Looks whether files can be read, or also written; where one could not be, whether one of its size can be by now. */
  check(writing: boolean): Promise<void>;
  /** Writes a file, all of it or nothing; over one that is there. */
  put(job: string, name: string, content: Uint8Array<ArrayBuffer>, type: string): Promise<void>;
  /** Null where there is none, or where it ends before the part that is asked for. */
  get(job: string, name: string, range?: ByteRange): Promise<StoredFile | null>;
  /** Whether a file is there. */
  has(job: string, name: string): Promise<boolean>;
  /** An address that clients can fetch without us, for a while; null where the store has none. */
  link(job: string, name: string): Promise<string | null>;
  /** Removes all files of a job. */
  remove(job: string): Promise<void>;
}

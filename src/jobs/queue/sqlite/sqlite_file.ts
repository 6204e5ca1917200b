/** The SQLite file that a queue is: its tables, and opening it. */
import { DatabaseSync } from "node:sqlite";
import { MdmError } from "../../../errors.ts";
import { keepPrivate, PRIVATE } from "../../../files/private_file.ts";

/** "mdmq": says in the file's header whose it is. */
const APPLICATION = 0x6d646d71;
/** Of the tables below. */
const VERSION = 1;
/** How long to wait for another process that is writing at the start, where many may make the file; each does so for milliseconds. */
const BUSY_MS = 10_000;
/** How often to look whether it has done so. */
const BUSY_POLL_MS = 5;

/**
 * A record is kept whole, as JSON, in the column `entry`; the others are what is looked for. `due` is `dueAt` of the record, `changed`
 * counts all changes of all jobs, and `forgotten` has the last number of those that are no more, so that none is given twice.
 */
const SCHEMA = `
  CREATE TABLE jobs (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    idempotency_key TEXT UNIQUE,
    fingerprint TEXT NOT NULL,
    origin TEXT NOT NULL,
    priority REAL NOT NULL,
    queued_at REAL NOT NULL,
    state TEXT NOT NULL,
    due REAL,
    changed INTEGER NOT NULL,
    entry TEXT NOT NULL
  ) STRICT;
  CREATE INDEX jobs_in_order ON jobs (state, priority DESC, queued_at, sequence);
  CREATE INDEX jobs_due ON jobs (state, due);
  CREATE INDEX jobs_changed ON jobs (changed);
  CREATE TABLE forgotten (changed INTEGER NOT NULL) STRICT;
  INSERT INTO forgotten VALUES (0);
  CREATE TABLE deliveries (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    event TEXT NOT NULL,
    job TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due REAL NOT NULL
  ) STRICT;
  CREATE INDEX deliveries_due ON deliveries (due);
  PRAGMA application_id = ${APPLICATION};
  PRAGMA user_version = ${VERSION};
`;

/** How often jobs were queued once more: version 1 has not always had it. */
const RETRIED = [
  "CREATE TABLE IF NOT EXISTS retried (count INTEGER NOT NULL) STRICT",
  "INSERT INTO retried SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM retried)",
];

/**
 * Opens the file of a queue, or makes it, for its owner only. Its connection does not wait for others that write, for nothing else could
 * be done meanwhile: see `whenFree`.
 *
 * @throws {MdmError} When it cannot be opened, is no queue's, or is damaged.
 */
export async function openFile(path: string): Promise<DatabaseSync> {
  if (path === "" || path === ":memory:") {
    throw new MdmError(`Cannot keep a queue in "${path}": give the path of a file.`);
  }
  await makePrivate(path);
  const database = open(path);
  try {
    await prepare(database, path);
    for (const name of [path, `${path}-wal`, `${path}-shm`]) await keepPrivate(name);
    return database;
  } catch (error) {
    database.close();
    const reason = reasonOf(error);
    throw reason === null ? error : new MdmError(`Cannot use the queue "${path}": ${reason}`);
  }
}

/** Does something as soon as no other process is writing; fails as it does where that takes longer than so many milliseconds. */
export async function whenFree<T>(work: () => T, ms: number): Promise<T> {
  const end = Date.now() + ms;
  while (true) {
    try {
      return work();
    } catch (error) {
      if (codeOf(error) !== BUSY || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY_POLL_MS));
    }
  }
}

/** Which file is at a path; null: none. */
export function identityOf(path: string): string | null {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}

/** What SQLite says about the file, for the user; null: it says nothing about it. */
export function reasonOf(error: unknown): string | null {
  return REASONS[codeOf(error)] ?? null;
}

/** Whether a connection that failed so may do better once what hinders it has gone; else the file has to be opened anew. */
export function isPassing(error: unknown): boolean {
  return codeOf(error) === BUSY || codeOf(error) === FULL;
}

const BUSY = 5;
const DAMAGED = 11;
const FULL = 13;
const NO_FILE = 14;
const FOREIGN = 26;

/** By SQLite's codes of errors. What is not here is a defect of ours. */
const REASONS: Readonly<Record<number, string>> = {
  [BUSY]: "another process keeps it locked. Stop that one.",
  8: "it cannot be written to. Check its mode and its folder's.",
  10: "reading or writing it failed. Check the disk.",
  [DAMAGED]: "it is damaged. Move it away and start anew.",
  [FULL]: "the disk is full. Make room.",
  [NO_FILE]: "it cannot be opened. Check that its folder exists and may be written to.",
  [FOREIGN]: "it is not a file of a queue. Give another path.",
};

/** The kind of an error of SQLite, which has details in its higher bits; 0 of another error. */
function codeOf(error: unknown): number {
  return error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
}

/** SQLite makes the files beside it with its mode. What cannot be made is told of where it is opened. */
async function makePrivate(path: string): Promise<void> {
  const options = { write: true, createNew: true, mode: PRIVATE };
  await Deno.open(path, options).then((file) => file.close(), () => {});
}

function open(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 });
  } catch (error) {
    const reason = error instanceof Deno.errors.NotCapable
      ? "reading and writing it is not permitted. Start mdm with other permissions."
      : REASONS[NO_FILE];
    throw new MdmError(`Cannot use the queue "${path}": ${reason}`);
  }
}

async function prepare(database: DatabaseSync, path: string): Promise<void> {
  const read = (sql: string) => Object.values(database.prepare(sql).get() ?? {})[0];
  const readLater = (sql: string) => whenFree(() => read(sql), BUSY_MS);
  // Nothing may be written before it is known whose file it is.
  const isEmpty = () => read("SELECT count(*) FROM sqlite_schema") === 0;
  await whenFree(() => !isEmpty() && checkOwner(), BUSY_MS);
  // With a log, readers and a writer do not wait for each other, and a commit is one write.
  await readLater("PRAGMA journal_mode = WAL");
  // One process makes the tables; `exec` is for several statements, but does not say what went wrong.
  await readLater("BEGIN IMMEDIATE");
  if (isEmpty()) database.exec(SCHEMA);
  RETRIED.forEach(read);
  await readLater("COMMIT");
  await whenFree(checkOwner, BUSY_MS);
  if (read("PRAGMA quick_check(1)") !== "ok") {
    throw new MdmError(`Cannot use the queue "${path}": ${REASONS[DAMAGED]}`);
  }

  function checkOwner(): void {
    if (read("PRAGMA application_id") !== APPLICATION) {
      throw new MdmError(`Cannot use the queue "${path}": ${REASONS[FOREIGN]}`);
    }
    const version = read("PRAGMA user_version");
    if (version !== VERSION) {
      throw new MdmError(
        `Cannot use the queue "${path}": it has version ${version}, and this mdm reads version ${VERSION}. Let the mdm that made it finish its jobs, then give another path.`,
      );
    }
  }
}

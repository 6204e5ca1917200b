/** The SQLite file that a queue is: its tables, and opening it. */
import { DatabaseSync } from "node:sqlite";
import { MdmError } from "../../errors.ts";
import { keepPrivate, PRIVATE } from "../private_file.ts";

/** "mdmq": says in the file's header whose it is. */
const APPLICATION = 0x6d646d71;
/** Of the tables below. */
const VERSION = 1;
/** How long to wait for another process that is writing; each does so for milliseconds. */
const BUSY_MS = 10_000;

/**
 * An entry is kept whole, as JSON; the other columns are what is looked for. `due` is `dueAt` of the entry, `changed` counts all
 * changes of all jobs, and `forgotten` has the last number of those that are no more, so that none is given twice.
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
 * Opens the file of a queue, or makes it, for its owner only. Its connection waits for others that write.
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
    throw asFileError(path, error);
  }
}

/** Turns what SQLite says about the file into a sentence for the user. */
export function asFileError(path: string, error: unknown): unknown {
  const reason = REASONS[codeOf(error)];
  return reason === undefined ? error : new MdmError(`Cannot use the queue "${path}": ${reason}`);
}

const BUSY = 5;
const DAMAGED = 11;
const NO_FILE = 14;
const FOREIGN = 26;

/** By SQLite's codes of errors. What is not here is a defect of ours. */
const REASONS: Readonly<Record<number, string>> = {
  [BUSY]: "another process keeps it locked. Stop that one.",
  8: "it cannot be written to. Check its mode and its folder's.",
  10: "reading or writing it failed. Check the disk.",
  [DAMAGED]: "it is damaged. Move it away and start anew.",
  13: "the disk is full. Make room.",
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
    return new DatabaseSync(path, { timeout: BUSY_MS });
  } catch (error) {
    const reason = error instanceof Deno.errors.NotCapable
      ? "reading and writing it is not permitted. Start mdm with other permissions."
      : REASONS[NO_FILE];
    throw new MdmError(`Cannot use the queue "${path}": ${reason}`);
  }
}

async function prepare(database: DatabaseSync, path: string): Promise<void> {
  const read = (sql: string) => Object.values(database.prepare(sql).get() ?? {})[0];
  // Nothing may be written before it is known whose file it is.
  const isEmpty = () => read("SELECT count(*) FROM sqlite_schema") === 0;
  if (!isEmpty()) checkOwner();
  await keepLog(database);
  // One process makes the tables; `exec` is for several statements, but does not say what went wrong.
  read("BEGIN IMMEDIATE");
  if (isEmpty()) database.exec(SCHEMA);
  RETRIED.forEach(read);
  read("COMMIT");
  checkOwner();
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

/** With a log, readers and a writer do not wait for each other, and a commit is one write. */
async function keepLog(database: DatabaseSync): Promise<void> {
  const end = Date.now() + BUSY_MS;
  while (true) {
    try {
      database.prepare("PRAGMA journal_mode = WAL").get();
      return;
    } catch (error) {
      // SQLite does not wait by itself where another process is doing the same.
      if (codeOf(error) !== BUSY || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

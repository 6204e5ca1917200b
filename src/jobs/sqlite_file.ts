/** The SQLite file that a queue is: its tables, and opening it. */
import { DatabaseSync } from "node:sqlite";
import { MdmError } from "../errors.ts";

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

/**
 * Opens the file of a queue, or makes it. Its connection waits for others that write.
 *
 * @throws {MdmError} When it cannot be opened, is no queue's, or is damaged.
 */
export function openFile(path: string): DatabaseSync {
  if (path === "" || path === ":memory:") {
    throw new MdmError(`Cannot keep a queue in "${path}": give the path of a file.`);
  }
  const database = open(path);
  try {
    prepare(database, path);
    return database;
  } catch (error) {
    database.close();
    throw asFileError(path, error);
  }
}

/** Turns what SQLite says about the file into a sentence for the user. */
export function asFileError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("errcode" in error)) return error;
  // The lowest eight bits are the kind of error, whatever its details are.
  const reason = REASONS[Number(error.errcode) & 0xff];
  return reason === undefined ? error : new MdmError(`Cannot use the queue "${path}": ${reason}`);
}

/** By SQLite's code. What is not here is a defect of ours. */
const REASONS: Readonly<Record<number, string>> = {
  5: "another process keeps it locked. Stop that one.",
  8: "it cannot be written to. Check its mode and its folder's.",
  10: "reading or writing it failed. Check the disk.",
  11: "it is damaged. Move it away and start anew.",
  13: "the disk is full. Make room.",
  14: "it cannot be opened. Check that its folder exists and may be written to.",
  26: "it is not a file of a queue. Give another path.",
};

function open(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: BUSY_MS });
  } catch (error) {
    const reason = error instanceof Deno.errors.NotCapable
      ? "reading and writing it is not permitted. Start mdm with other permissions."
      : REASONS[14];
    throw new MdmError(`Cannot use the queue "${path}": ${reason}`);
  }
}

function prepare(database: DatabaseSync, path: string): void {
  const read = (sql: string) => Object.values(database.prepare(sql).get()!)[0];
  // Nothing may be written before it is known whose file it is.
  const isEmpty = () => read("SELECT count(*) FROM sqlite_schema") === 0;
  if (!isEmpty()) checkOwner();
  // With a log, readers and a writer do not wait for each other, and a commit is one write.
  database.exec("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE");
  if (isEmpty()) database.exec(SCHEMA);
  database.exec("COMMIT");
  checkOwner(); // Another process may have been quicker.
  if (read("PRAGMA quick_check(1)") !== "ok") {
    throw new MdmError(`Cannot use the queue "${path}": ${REASONS[11]}`);
  }

  function checkOwner(): void {
    if (read("PRAGMA application_id") !== APPLICATION) {
      throw new MdmError(`Cannot use the queue "${path}": ${REASONS[26]}`);
    }
    const version = read("PRAGMA user_version");
    if (version !== VERSION) {
      throw new MdmError(
        `Cannot use the queue "${path}": it has version ${version}, and this mdm reads version ${VERSION}. Let the mdm that made it finish its jobs, then give another path.`,
      );
    }
  }
}

/** The secret that webhooks are signed with: receivers know it as well. */

import { MdmError, UsageError } from "../../errors.ts";
import { keepPrivate, PRIVATE } from "../../files/private_file.ts";
import { readFile } from "../../files/read_file.ts";
import { asWriteError, makeAtomically } from "../../files/write_file.ts";

const PREFIX = "whsec_";

/** Bytes of a secret: as many as the standard asks for, and as many as we take. */
const FEWEST = 24;
const MOST = 64;
const OURS = 32;

/** More than any secret in base64. */
const SECRET_FILE = { largest: 4096, what: "a secret of webhooks" } as const;

/**
 * Checks a secret that was configured.
 *
 * @throws {UsageError} When it is none.
 */
export function checkSecret(secret: string): string {
  if (isSecret(secret)) return secret;
  throw new UsageError(
    `The secret of webhooks has to be "${PREFIX}" and ${FEWEST} to ${MOST} bytes in base64: make one by 'echo ${PREFIX}$(head -c ${OURS} /dev/urandom | base64)'.`,
  );
}

/**
 * Reads the secret that a file keeps; makes one where there is no such file. However many processes begin at once, all get the same.
 *
 * @throws {MdmError} When the file cannot be read or written, or has something else in it.
 */
export async function loadSecret(path: string): Promise<string> {
  return await readSecret(path) ?? await makeSecret(path);
}

async function readSecret(path: string): Promise<string | null> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path, SECRET_FILE);
  } catch (error) {
    if ((error as Error).cause instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const secret = new TextDecoder().decode(bytes).trim();
  if (isSecret(secret)) {
    await keepPrivate(path);
    return secret;
  }
  throw new MdmError(
    `The file "${path}" has no secret of webhooks in it: remove it, and a new one is made.`,
  );
}

async function makeSecret(path: string): Promise<string> {
  const secret = PREFIX + crypto.getRandomValues(new Uint8Array(OURS)).toBase64();
  try {
    await makeAtomically(
      path,
      (temporary) =>
        Deno.writeTextFile(temporary, `${secret}\n`, { createNew: true, mode: PRIVATE }),
      // Unlike renaming, this fails where another process was quicker, and then its secret is the one.
      async (temporary) => {
        await Deno.link(temporary, path);
        await Deno.remove(temporary);
      },
    );
    return secret;
  } catch (error) {
    const theirs = error instanceof Deno.errors.AlreadyExists ? await readSecret(path) : null;
    if (theirs !== null) return theirs;
    throw asWriteError(path, error);
  }
}

function isSecret(text: string): boolean {
  if (!text.startsWith(PREFIX)) return false;
  try {
    const { length } = Uint8Array.fromBase64(text.slice(PREFIX.length));
    return length >= FEWEST && length <= MOST;
  } catch {
    return false;
  }
}

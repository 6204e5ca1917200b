/** What is said where a queue or a store cannot be used at the moment. */
import { MdmError } from "../errors.ts";

/** What is said of a file or folder that was there. */
export const REMOVED =
  "it was removed, or the disk that it is on. Bring it back, or start mdm anew.";

/** Seconds after which it may be there again. */
const RETRY_AFTER = 5;

/**
 * Something that this process needs is away: it does not answer, is full, or was removed. The message names it. It is nobody's mistake
 * who asks for a picture, and it passes: come again later.
 */
export class Unavailable extends MdmError {
  override name = "Unavailable";
  /** Seconds after which to try again. */
  readonly retryAfter = RETRY_AFTER;

  /** Deno tells of an answer that breaks off: where it broke is of no interest. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.message;
  }
}

/** What comes, or something else where what it has to come from is away. */
export async function unlessAway<T, U>(coming: Promise<T>, otherwise: U): Promise<T | U> {
  try {
    return await coming;
  } catch (error) {
    if (error instanceof Unavailable) return otherwise;
    throw error;
  }
}

/** Tells an error on stderr, unless something is away: its `Outage` tells of that once. */
export function tellUnlessAway(error: unknown): void {
  if (!(error instanceof Unavailable)) console.error(error);
}

/**
 * What went wrong, said to the person who can mend it: one clear sentence, no stack trace.
 * Everything else that is thrown is a defect of ours and keeps its stack.
 *
 * @example
 * ```ts
 * try {
 *   throw new MdmError("The disk is full: make room.");
 * } catch (error) {
 *   // Anything else is a defect.
 *   if (!(error instanceof MdmError)) throw error;
 *   console.error(error.message);
 * }
 * ```
 */
export class MdmError extends Error {
  override name = "MdmError";
  /** The exit code of a command that ends with this error. */
  readonly exitCode: number = 1;
}

/**
 * The request itself is wrong (an unknown option, steps 0): exit code 2.
 *
 * @example
 * ```ts
 * const error = new UsageError("Cannot use steps 0: give a whole number from 1.");
 * if (error.exitCode !== 2) throw error;
 * ```
 */
export class UsageError extends MdmError {
  override name = "UsageError";
  override readonly exitCode = 2;
}

/**
 * What a promise gives, unless a signal comes first.
 *
 * @param reason What is thrown then; absent: what the signal was aborted with.
 */
export function until<T>(signal: AbortSignal, promise: Promise<T>, reason?: unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(reason ?? signal.reason);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/**
 * Waits for what a test does, at most so long: what hangs fails with a sentence.
 *
 * @param what What is waited for, as "the events".
 */
export async function within<T>(seconds: number, what: string, work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`Waited ${seconds} seconds for ${what}.`)),
    seconds * 1000,
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // It may fail later, for what it uses is taken away now.
    work.catch(() => {});
  }
}

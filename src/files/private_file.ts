/** Files that are their owner's only: they hold secrets, and what people have asked for. */

/** What the owner may do with such a file. */
export const PRIVATE = 0o600;

/** Takes from everybody else what they may do with a file, where there is one; where that cannot be, it is said. */
export async function keepPrivate(path: string): Promise<void> {
  const mode = await Deno.stat(path).then(({ mode }) => mode, () => null);
  if (mode === null || (mode & 0o077) === 0) return;
  await Deno.chmod(path, mode & 0o700).catch(() => {
    console.error(
      `Other users of this machine may read "${path}", and its mode cannot be changed: have its owner run chmod 600 on it.`,
    );
  });
}

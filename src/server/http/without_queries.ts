/** What may be told of addresses and errors. */

/**
 * A text without what may be a secret in its addresses: queries, which hold signatures and keys, and users with their passwords.
 */
export function withoutQueries(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'<>()]*@/gi, "$1")
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s?"'<>()]*)\?[^\s"'<>()]*/gi, "$1")
    .replace(/\?[\w.%-]+=[^\s"'<>()]*/g, "");
}

/** What an error says, and one of `fetch` by its cause, which has the reason and the address. */
export function reasonOf(error: unknown): string {
  const { cause } = Object(error);
  const told = cause instanceof Error ? cause : error;
  return withoutQueries(told instanceof Error ? told.message : String(told));
}

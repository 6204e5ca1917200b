/** Keeps out what browsers let pages of other servers do. */
import { HttpError } from "./http_error.ts";

/** @throws {HttpError} When the request is for another host. */
export function checkHost({ url }: Request, allowed: readonly string[]): void {
  const { hostname } = new URL(url);
  if (allowed.includes(hostname)) return;
  throw new HttpError(421, `The server does not go by the name of ${hostname}.`);
}

/** @throws {HttpError} When the page of another server asks for a change, which a browser would let it without a token. */
export function checkOrigin({ method, headers }: Request, allowed: readonly string[]): void {
  const origin = headers.get("Origin");
  if (method === "GET" || method === "HEAD" || origin === null) return;
  if (allowed.some((url) => new URL(url).origin === origin)) return;
  throw new HttpError(403, "A page of another server may not do this: allow its origin by --cors.");
}

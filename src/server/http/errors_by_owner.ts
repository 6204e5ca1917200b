/** Whose errors a request gets. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { ErrorHandler } from "hono";
import { TrieRouter } from "hono/router/trie-router";

/**
 * Answers an error as the front end does whose path was asked for, or one that begins like it; for what belongs to none, or to one that
 * does not say how, as the first one does.
 */
export function errorsByOwner(frontEnds: readonly OpenAPIHono[]): ErrorHandler {
  const owners = new TrieRouter<OpenAPIHono>();
  const beginnings = new Map<string, OpenAPIHono>();
  for (const frontEnd of frontEnds) {
    if (errorHandler(frontEnd) === UNSET) continue;
    for (const { path, method } of frontEnd.routes) {
      if (method === "ALL") continue;
      owners.add("ALL", path, frontEnd);
      beginnings.set(firstPart(path), frontEnd);
    }
  }
  return (error, c) => {
    const [[exact]] = owners.match("ALL", c.req.path) as [[OpenAPIHono, unknown][]];
    const owner = exact?.[0] ?? beginnings.get(firstPart(c.req.path)) ?? frontEnds[0]!;
    return errorHandler(owner)(error, c);
  };
}

/** hono keeps what `onError` was given to itself, but errors may also come before any of the front end's handlers. */
function errorHandler(frontEnd: OpenAPIHono): ErrorHandler {
  return (frontEnd as unknown as { readonly errorHandler: ErrorHandler }).errorHandler;
}

/** What hono has where nothing was given. */
const UNSET = errorHandler(new OpenAPIHono());

function firstPart(path: string): string {
  return path.split("/", 2)[1]!;
}

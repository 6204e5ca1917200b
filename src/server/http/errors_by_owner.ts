/** Whose errors a request gets. */
import { type ErrorHandler, TrieRouter } from "../../deps/hono.ts";
import type { Protocol } from "./protocol.ts";

/**
 * Answers an error as the protocol does whose path was asked for, or one that begins like it; for what belongs to none, or to one that
 * does not say how, as the first one does.
 */
export function errorsByOwner(protocols: readonly Protocol[]): ErrorHandler {
  const owners = new TrieRouter<ErrorHandler>();
  const beginnings = new Map<string, ErrorHandler>();
  for (const { routes: { routes }, onError } of protocols) {
    if (onError === undefined) continue;
    for (const { path, method } of routes) {
      if (method === "ALL") continue;
      owners.add("ALL", path, onError);
      beginnings.set(firstPart(path), onError);
    }
  }
  const [otherwise] = protocols.flatMap(({ onError }) => onError ?? []);
  return (error, c) => {
    const [[exact]] = owners.match("ALL", c.req.path) as [[ErrorHandler, unknown][]];
    const answer = exact?.[0] ?? beginnings.get(firstPart(c.req.path)) ?? otherwise!;
    return answer(error, c);
  };
}

function firstPart(path: string): string {
  return path.split("/", 2)[1]!;
}

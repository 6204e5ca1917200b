/** Listens for HTTP, with limits on what clients may hold open. */
import { getRequestListener } from "@hono/node-server";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { whatIsNotPlain } from "./target.ts";

/** Milliseconds that clients have for what they send. */
export interface Deadlines {
  /** For a request up to its body. */
  readonly headMs: number;
  /** For all of a request. */
  readonly requestMs: number;
  /** Between two requests of a connection. */
  readonly idleMs: number;
}

const DEADLINES: Deadlines = { headMs: 15_000, requestMs: 60_000, idleMs: 75_000 };

/** Connections at a time; one more is closed at once. */
const CONNECTIONS = 2000;

export interface ListenOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** Milliseconds in which nothing may be sent on a connection: longer than any answer is waited for. */
  readonly stallMs: number;
  readonly deadlines?: Deadlines;
  readonly connections?: number;
  /** Is told of requests that never come to be answered by `fetch`. */
  readonly logRequest?: (line: string) => void;
}

/** Something that listens. */
export interface Listening {
  readonly url: string;
  /** Takes no more requests; those under way have so many milliseconds. */
  close(graceMs: number): Promise<void>;
}

/**
 * Answers requests by `fetch`. Requests that are not plain, and those that are not there in time, never come to it.
 *
 * It is Node's server, not Deno's: that one waits for ever for a request that was begun.
 *
 * @throws As `node:net` does, where the address cannot be had.
 */
export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  { host, port, stallMs, deadlines = DEADLINES, connections = CONNECTIONS, logRequest }:
    ListenOptions,
): Promise<Listening> {
  const answer = getRequestListener((request) => fetch(request), { overrideGlobalObjects: false });
  const server = createServer({
    headersTimeout: deadlines.headMs,
    requestTimeout: deadlines.requestMs,
    keepAliveTimeout: deadlines.idleMs,
    connectionsCheckingInterval: Math.min(deadlines.headMs / 2, 1000),
  }, (incoming, outgoing) => {
    const problem = whatIsNotPlain({ address: incoming.url!, hosts: hostsOf(incoming) });
    if (problem === null) {
      void answer(incoming, outgoing);
    } else {
      logRequest?.(`${incoming.method} (not a plain address) 400`);
      refuse(outgoing, problem);
    }
  });
  server.maxConnections = connections;
  server.timeout = stallMs;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const { address, family, port: given } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${given}`,
    close: (graceMs) => closeServer(server, graceMs),
  };
}

function hostsOf({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === "host");
}

/** Which front end a request is for nobody knows that has no plain address. */
function refuse(outgoing: ServerResponse, message: string): void {
  const body = JSON.stringify({ error: { code: "malformed", message } });
  outgoing.writeHead(400, {
    "Content-Type": "application/json",
    "Content-Length": body.length,
    "Connection": "close",
  });
  outgoing.end(body);
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await new Promise((resolve) => server.close(resolve));
  clearTimeout(timer);
}

/** Listens for HTTP, with limits on what clients may hold open. */
import { getRequestListener } from "../../deps/node_server.ts";
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

/** Methods that no `Request` can have, and what can be said instead wherever they were used. */
const FOR_DIAGNOSIS = new Set(["TRACE", "TRACK"]);
const ALLOWED = "GET, HEAD, POST, PUT, DELETE";

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
 * @throws {Deno.errors.AddrInUse} When something else listens there.
 * @throws {Deno.errors.NotCapable} Without the permission.
 */
export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  { host, port, stallMs, deadlines = DEADLINES, connections = CONNECTIONS, logRequest }:
    ListenOptions,
): Promise<Listening> {
  const answer = getRequestListener(async (request, { outgoing }) => {
    return whole(await fetch(asRequest(request)), (error) => {
      // Who reads it has to notice that something is missing.
      outgoing.destroy();
      logRequest?.(
        `${request.method} broke off: ${error instanceof Error ? error.message : error}`,
      );
    });
  }, {
    // It would give the whole process other classes.
    overrideGlobalObjects: false,
  });
  const underWay = new Set<ServerResponse>();
  const server = createServer({
    headersTimeout: deadlines.headMs,
    requestTimeout: deadlines.requestMs,
    keepAliveTimeout: deadlines.idleMs,
    connectionsCheckingInterval: Math.min(deadlines.headMs / 2, 1000),
  }, (incoming, outgoing) => {
    underWay.add(outgoing);
    outgoing.once("close", () => {
      underWay.delete(outgoing);
      if (!incoming.complete) endWithConnection(incoming);
    });
    const { method, url } = incoming;
    const problem = whatIsNotPlain({ address: url!, hosts: hostsOf(incoming) });
    if (problem !== null) {
      logRequest?.(`${method} (not a plain address) 400`);
      refuse(outgoing, 400, { code: "malformed", message: problem });
    } else if (FOR_DIAGNOSIS.has(method!)) {
      logRequest?.(`${method} 405`);
      const message = `${method} does nothing here.`;
      refuse(outgoing, 405, { code: "method_not_allowed", message }, { Allow: ALLOWED });
    } else {
      void answer(incoming, outgoing);
    }
  });
  server.maxConnections = connections;
  server.timeout = stallMs;
  // Without the permission Node's server ends the process, where Deno's error can be told.
  Deno.listen({ hostname: host, port }).close();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const { address, family, port: given } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${given}`,
    close: (graceMs) => closeServer(server, underWay, graceMs),
  };
}

/** The request itself: what stands for it is no `Request` to what constructs others from it. */
function asRequest({ url, method, headers, body, signal }: Request): Request {
  return new Request(url, { method, headers: new Headers(headers), body, signal });
}

/** An answer whose body never fails, but tells when it would have: the adapter would send the error as if it were the end. */
function whole(response: Response, onError: (error: unknown) => void): Response {
  if (response.body === null) return response;
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        onError(error);
        controller.close();
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
  return new Response(body, response);
}

/** The adapter reads on for half a second what is left of a request that was answered, but does not notice when its client leaves. */
function endWithConnection(incoming: IncomingMessage): void {
  const { socket } = incoming;
  const end = () => incoming.destroy(new Error("The client left."));
  if (socket.destroyed) return void end();
  socket.once("close", end);
  // The connection may go on, and with it the next request.
  incoming.once("end", () => socket.off("close", end));
}

function hostsOf({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === "host");
}

/** Answers what never comes to a protocol. */
function refuse(
  outgoing: ServerResponse,
  status: number,
  error: { readonly code: string; readonly message: string },
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify({ error });
  outgoing.writeHead(status, {
    ...headers,
    "Content-Type": "application/json",
    "Content-Length": body.length,
    "Connection": "close",
  });
  outgoing.end(body);
}

/** Closes a server once it has nothing more to answer, or is out of patience. */
async function closeServer(server: Server, underWay: Set<ServerResponse>, graceMs: number) {
  const closed = new Promise((resolve) => server.close(resolve));
  const answered = Promise.all(
    underWay.values().map((outgoing) => new Promise((resolve) => outgoing.once("close", resolve))),
  );
  const patience = Promise.withResolvers<void>();
  const timer = setTimeout(patience.resolve, graceMs);
  await Promise.race([answered, patience.promise]);
  clearTimeout(timer);
  // Of those on which nothing was ever asked it does not know that they are idle.
  server.closeAllConnections();
  await closed;
}

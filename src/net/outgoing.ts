/** The only way in which requests go out to addresses that clients named. */

import { lookup } from "node:dns/promises";
import { request as requestOver } from "node:http";
import { Duplex } from "node:stream";
import { MdmError, UsageError } from "../errors.ts";
import { until } from "../until.ts";
import { isAddress, isPublic, isWithin, parseRange } from "./address_ranges.ts";

export interface OutgoingRequest {
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Milliseconds for all of it, 15 seconds unless given. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface OutgoingAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Its beginning, up to 64 KiB. */
  readonly body: Uint8Array;
}

export interface OutgoingRules {
  /** Hosts that are reached although they are not public: names, addresses and ranges ("localhost", "10.0.0.0/8"). */
  readonly allow: readonly string[];
  /** Gives all addresses of a name; the system's way unless given. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
  /** Certificates, as PEM, that are trusted beside those that Deno trusts. */
  readonly caCerts?: readonly string[];
}

const TIMEOUT_MS = 15_000;
const MOST_BYTES = 64 * 1024;

/**
 * Sends a request to an address that is not to be trusted, over http or https. Redirects are answers like any other: they are not
 * followed.
 *
 * A name is resolved once, and the connection goes to an address that was checked: who answers otherwise the next time gains nothing.
 *
 * @throws {UsageError} When the address is one that no request may go to.
 * @throws {MdmError} When no answer came.
 */
export async function fetchOutgoing(
  url: string,
  request: OutgoingRequest,
  rules: OutgoingRules,
): Promise<OutgoingAnswer> {
  const target = checkOutgoing(url, rules);
  const { timeoutMs = TIMEOUT_MS } = request;
  const timeout = new AbortController();
  const late = new MdmError(`it took longer than ${timeoutMs / 1000} seconds`);
  const timer = setTimeout(() => timeout.abort(late), timeoutMs);
  const signal = AbortSignal.any([timeout.signal, ...request.signal ? [request.signal] : []]);
  try {
    const addresses = await until(signal, checkedAddresses(target, rules));
    using connection = await connect(target, addresses, { signal, ...rules });
    return await until(signal, exchange(connection.stream, target, request));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { message } = (signal.aborted ? signal.reason : error) as Error;
    throw new MdmError(`Cannot reach ${target.host}: ${message}.`);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Checks what can be known of an address without asking anybody; `fetchOutgoing` checks the rest.
 *
 * @throws {UsageError} When no request may go there.
 */
export function checkOutgoing(url: string, { allow }: Pick<OutgoingRules, "allow">): URL {
  const target = URL.parse(url);
  if (target === null || !/^https?:$/.test(target.protocol)) {
    throw new UsageError("The address to be called is none: begin it with https:// or http://.");
  }
  if (target.username !== "" || target.password !== "") {
    throw new UsageError("The address to be called has a user or password in it: leave them out.");
  }
  const name = hostOf(target);
  const known = /(^|\.)localhost$/.test(name) ? "127.0.0.1" : name;
  if (isAddress(known) && !isAllowed(name, known, allow)) throw refusal(target);
  return target;
}

/**
 * Checks what an operator allows: a range that is none would never be met.
 *
 * @throws {UsageError} When an entry is neither a name nor an address nor a range.
 */
export function checkAllow(allow: readonly string[]): readonly string[] {
  for (const entry of allow) {
    if (parseRange(entry) !== null || /^(?=.*[a-z])[a-z0-9._-]+$/i.test(entry)) continue;
    throw new UsageError(
      `Cannot allow calls to ${
        JSON.stringify(entry)
      }: give a name such as "localhost", an address, or a range such as "10.0.0.0/8".`,
    );
  }
  return allow;
}

/** All addresses of a host, when requests may go to every one of them. */
async function checkedAddresses(
  target: URL,
  { allow, resolve = resolveBySystem }: OutgoingRules,
): Promise<readonly string[]> {
  const name = hostOf(target);
  const addresses = isAddress(name) ? [name] : await resolve(name);
  if (addresses.length === 0) throw new MdmError("it has no address");
  if (!addresses.every((address) => isAllowed(name, address, allow))) throw refusal(target);
  return addresses;
}

async function resolveBySystem(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

/** Whether requests may go to an address of a host with this name. */
function isAllowed(name: string, address: string, allow: readonly string[]): boolean {
  const isKnown = isAddress(address);
  if (isKnown && isPublic(address)) return true;
  return allow.some((entry) => {
    const range = parseRange(entry);
    if (range === null) return withoutDot(entry.toLowerCase()) === name;
    return isKnown && isWithin(address, range);
  });
}

/** Says no more than who asked knows: what a name leads to may be a secret of this network. */
function refusal(target: URL): UsageError {
  return new UsageError(
    `Cannot call ${target.host}: it is not an address that anybody can reach. Name another one, or have it allowed.`,
  );
}

/** The name of an address's host as certificates have it, or its IP address. */
export function hostOf({ hostname }: URL): string {
  return withoutDot(hostname.replace(/^\[(.*)\]$/, "$1"));
}

/** A dot at the end says that the name is complete, which it is. */
function withoutDot(name: string): string {
  return name.replace(/\.$/, "");
}

interface Connection extends Disposable {
  readonly stream: Duplex;
}

/** Connects to the first address that answers. */
async function connect(
  target: URL,
  addresses: readonly string[],
  { signal, caCerts = [] }: { readonly signal: AbortSignal; readonly caCerts?: readonly string[] },
): Promise<Connection> {
  const isSecure = target.protocol === "https:";
  const port = Number(target.port) || (isSecure ? 443 : 80);
  let failure: unknown;
  for (const hostname of addresses) {
    signal.throwIfAborted();
    try {
      const plain = await Deno.connect({ hostname, port, signal });
      if (!isSecure) return connectionOver(plain, [plain]);
      const options = { hostname: hostOf(target), caCerts: [...caCerts] };
      return await secureConnection(plain, options, signal);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** Speaks TLS over a connection; the certificate has to be that of the host. */
async function secureConnection(
  plain: Deno.TcpConn,
  options: Deno.StartTlsOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const open: Deno.Conn[] = [plain];
  try {
    const [near, far] = await connectedPair();
    open.push(far);
    // Deno cannot close a connection while it waits for the other end to speak TLS: hosts that keep silent would take all that a
    // process may open. So that other end is one of ours, which passes everything on and can be closed.
    far.readable.pipeTo(plain.writable).catch(() => {}); // Who reads notices.
    plain.readable.pipeTo(far.writable).catch(() => {});
    const secured = await Deno.startTls(near, options);
    open.unshift(secured);
    await until(signal, secured.handshake());
    return connectionOver(secured, open);
  } catch (error) {
    open.forEach(close);
    throw error;
  }
}

/** Both ends of a connection within this process. */
async function connectedPair(): Promise<[Deno.TcpConn, Deno.TcpConn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const near = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  const far = await listener.accept();
  if (far.remoteAddr.port === near.localAddr.port) return [near, far];
  close(near);
  close(far);
  throw new MdmError("another process connected to a port that was ours");
}

function connectionOver(connection: Deno.Conn, open: readonly Deno.Conn[]): Connection {
  const stream = Duplex.fromWeb(connection);
  return {
    stream,
    [Symbol.dispose]() {
      stream.destroy();
      open.forEach(close);
    },
  };
}

/** Closes what may be closed already, for its stream came to an end. */
function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** Sends the request over a connection and reads the answer's beginning. */
function exchange(
  stream: Duplex,
  target: URL,
  { method = "GET", headers, body }: OutgoingRequest,
): Promise<OutgoingAnswer> {
  return new Promise((resolve, reject) => {
    const request = requestOver({
      createConnection: () => stream,
      method,
      path: `${target.pathname}${target.search}`,
      headers: { ...headers, host: target.host },
    });
    request.on("error", reject);
    request.on("response", async (response) => {
      try {
        resolve({
          status: response.statusCode!,
          headers: new Headers(
            Object.entries(response.headers).map(([k, v]): [string, string] => [k, String(v)]),
          ),
          body: await readBeginning(response),
        });
      } catch (error) {
        reject(error);
      }
    });
    request.end(body);
  });
}

async function readBeginning(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const bytes = new Uint8Array(MOST_BYTES);
  let length = 0;
  for await (const chunk of stream) {
    const part = chunk.subarray(0, MOST_BYTES - length);
    bytes.set(part, length);
    length += part.length;
    if (length === MOST_BYTES) break;
  }
  return bytes.subarray(0, length);
}

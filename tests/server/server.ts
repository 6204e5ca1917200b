/** What tests of the server have in common. */
import { type AppOptions, createApp } from "../../src/server/http/app.ts";
import type { ProtocolFactory } from "../../src/server/http/protocol.ts";
import { listen, type ListenOptions } from "../../src/server/http/listen.ts";
import { signedAddresses } from "../../src/server/http/signed_address.ts";
import type { FakeJobs } from "./fake_jobs.ts";

/** What opens paths of the servers of tests. */
export const ADDRESSES = signedAddresses("a secret of webhooks");

export type App = ReturnType<typeof createApp>;

/** A server without a token, unless a test wants one. */
export function appOf(
  jobs: FakeJobs,
  protocols: readonly [ProtocolFactory, ...ProtocolFactory[]],
  options: Partial<AppOptions> = {},
): App {
  return createApp({ jobs, protocols, token: null, addresses: ADDRESSES, ...options });
}

/** A request with a body of JSON. */
export function posted(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  };
}

/** Lets a server listen on this machine while a test uses it, and waits until its last request has ended. */
export async function listening(
  app: App,
  use: (url: string) => Promise<void>,
  options: Partial<ListenOptions> = {},
): Promise<void> {
  const fetch = (request: Request) => app.fetch(request);
  const server = await listen(fetch, { host: "127.0.0.1", port: 0, stallMs: 60_000, ...options });
  // A test that failed may have left requests that never end.
  let graceMs = 0;
  try {
    await use(server.url);
    graceMs = 60_000;
  } finally {
    await server.close(graceMs);
  }
}

/** One server-sent event. */
export interface SentEvent {
  readonly event: string;
  // deno-lint-ignore no-explicit-any
  readonly data: any;
}

/** The events of an answer, as they come. */
export async function* eventsOf({ body }: Response): AsyncGenerator<SentEvent> {
  let text = "";
  for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const blocks = text.split("\n\n");
    text = blocks.pop()!;
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
      const [event, data] = [field("event"), field("data")];
      if (event !== undefined && data !== undefined) yield { event, data: JSON.parse(data) };
    }
  }
}

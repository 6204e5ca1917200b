/** Addresses that open a path for a while without the token: for clients that fetch what they are told of without sending one. */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

/** What may be opened so: files of jobs, and streams of predictions. */
const OPENABLE = /^(\/jobs\/[\w-]+\/files\/[\w.-]+|(\/v1)?\/predictions\/[\w-]+\/stream)$/;

/** Seconds that an address is good for at least. */
const LIFETIME = 3600;

/** Seconds in which a path keeps its address, so that browsers find in their caches what they have fetched. */
const SAME_FOR = 900;

/** What is asked for. */
export interface SignedRequest {
  readonly method: string;
  /** As it is routed: nothing reads it out of an address once more. */
  readonly path: string;
  /** What came with it in the query; absent: nothing. */
  readonly until?: string | undefined;
  readonly signature?: string | undefined;
}

export interface SignedAddresses {
  /** A path with what opens it, as a query. `until` is in seconds since 1970; an hour from now unless given. */
  sign(path: string, until?: number): string;
  /** Whether a request asks for nothing but what its address opens. `now` is in seconds since 1970. */
  isSigned(request: SignedRequest, now?: number): boolean;
}

/**
 * Signs addresses with a key that is derived from the secret of webhooks: not from the token, which workers without HTTP do not have
 * although they send webhooks with addresses, and which whoever has an address could guess at, where a person made it up. Receivers of
 * webhooks know the secret, so they could sign as well; all that it opens is results and streams of jobs of which they know the id.
 */
export function signedAddresses(secret: string): SignedAddresses {
  const key = createHmac("sha256", secret).update("mdm signed addresses").digest();
  const signature = (path: string, until: string) =>
    createHmac("sha256", key).update(`${path}\n${until}`).digest("base64url");
  return {
    sign(path, until = laterThan(seconds())) {
      return `${path}?until=${until}&signature=${signature(path, String(until))}`;
    },

    isSigned({ method, path, until = "", signature: given = "" }, now = seconds()) {
      return (method === "GET" || method === "HEAD") && OPENABLE.test(path) &&
        /^\d{1,12}$/.test(until) && now < Number(until) &&
        isSame(given, signature(path, until));
    },
  };
}

function laterThan(now: number): number {
  return Math.ceil((now + LIFETIME) / SAME_FOR) * SAME_FOR;
}

function seconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** Takes as long for what is nearly the same as for what is not at all. */
function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}

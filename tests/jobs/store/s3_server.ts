/** A small stand-in for an S3 store, which checks signatures. */

import { sha256, signatureV4 } from "./signature_v4.ts";

const REGION = "eu-test-1";

export const KEYS = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
} as const;

export interface S3Server extends AsyncDisposable {
  /** "s3://bucket/..." with this server as its endpoint. */
  address(bucketAndPrefix: string): string;
  /** What is kept, by "/bucket/key". */
  readonly files: Map<string, { readonly content: Uint8Array<ArrayBuffer>; readonly type: string }>;
  /** Requests that came: "PUT /bucket/key". */
  readonly log: string[];
  /** Statuses of the next answers; 0: the connection breaks. Taken one by one. */
  readonly failures: number[];
  /** Lets all requests wait until this is over. */
  stall(): Disposable;
}

/**
 * @param token The session token that requests have to bring.
 * @param ignoresRanges Whether it sends all of a file where a part is asked for.
 */
export function startS3Server(
  token?: string,
  { ignoresRanges = false }: { readonly ignoresRanges?: boolean } = {},
): S3Server {
  const files: S3Server["files"] = new Map();
  const log: string[] = [];
  const failures: number[] = [];
  let stalled = Promise.resolve();

  async function answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const content = await request.bytes();
    log.push(`${request.method} ${url.pathname}`);
    await stalled;
    const failure = failures.shift();
    if (failure !== undefined) return error(failure, "SlowDown");
    const refused = checkSignature(request, content, token);
    if (refused !== null) return error(403, refused);
    if (!url.pathname.startsWith("/bucket")) return error(404, "NoSuchBucket");
    if (request.method === "GET" && url.searchParams.has("list-type")) {
      return list(url.searchParams);
    }
    if (request.method === "PUT") {
      files.set(url.pathname, { content, type: request.headers.get("content-type")! });
      return new Response();
    }
    if (request.method === "DELETE") {
      files.delete(url.pathname);
      return new Response(null, { status: 204 });
    }
    const file = files.get(url.pathname);
    if (file === undefined) return error(404, "NoSuchKey");
    const headers = { "content-type": file.type };
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "");
    if (range === null || ignoresRanges) return new Response(file.content, { headers });
    const [first, last] = [Number(range[1]), Math.min(Number(range[2]), file.content.length - 1)];
    if (first > last) return error(416, "InvalidRange");
    const part = file.content.slice(first, last + 1);
    const sent = { "content-range": `bytes ${first}-${last}/${file.content.length}` };
    return new Response(part, { status: 206, headers: { ...headers, ...sent } });
  }

  /** Two keys an answer, so that there are more. */
  function list(query: URLSearchParams): Response {
    const after = atob(query.get("continuation-token") ?? "");
    const keys = [...files.keys()].map((path) => path.slice("/bucket/".length))
      .filter((key) => key.startsWith(query.get("prefix")!) && key > after).sort();
    const shown = keys.slice(0, 2);
    const next = keys.length > 2
      ? `<NextContinuationToken>${btoa(shown[1]!)}</NextContinuationToken>`
      : "";
    const contents = shown.map((key) => `<Contents><Key>${key}</Key></Contents>`).join("");
    return new Response(`<ListBucketResult>${contents}${next}</ListBucketResult>`);
  }

  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  return {
    address: (path) =>
      `s3://${path}?endpoint=${
        encodeURIComponent(`http://127.0.0.1:${server.addr.port}`)
      }&region=${REGION}`,
    files,
    log,
    failures,
    stall: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      stalled = promise;
      return { [Symbol.dispose]: resolve };
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function error(status: number, code: string): Response {
  return new Response(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`, { status });
}

/** What is wrong with a request's signature, in its Authorization header or its query; null: nothing. */
function checkSignature(
  request: Request,
  content: Uint8Array<ArrayBuffer>,
  token: string | undefined,
): string | null {
  const url = new URL(request.url);
  const inQuery = url.searchParams.has("X-Amz-Signature");
  const header =
    /^AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/
      .exec(request.headers.get("authorization") ?? "");
  const given = (name: string) => inQuery ? url.searchParams.get(name) : request.headers.get(name);
  const [credential = "", signedHeaders = "", signature = ""] = inQuery
    ? ["Credential", "SignedHeaders", "Signature"].map((name) => given(`X-Amz-${name}`) ?? "")
    : header?.slice(1) ?? [];
  const time = given("X-Amz-Date") ?? "";
  const [key, ...scope] = credential.split("/");
  if (key !== KEYS.accessKeyId) return "InvalidAccessKeyId";
  if (scope.join("/") !== `${time.slice(0, 8)}/${REGION}/s3/aws4_request`) return "BadScope";
  if (!signedHeaders.split(";").includes("host")) return "HostNotSigned";
  if ((given("X-Amz-Security-Token") ?? undefined) !== token) return "InvalidToken";
  const lives = inQuery ? Number(given("X-Amz-Expires")) : 900;
  const age = (Date.now() - Date.parse(time.replace(/(....)(..)(..T..)(..)/, "$1-$2-$3:$4:"))) /
    1000;
  if (!(age > -900 && age < lives)) return "RequestExpired";

  const hash = inQuery ? "UNSIGNED-PAYLOAD" : request.headers.get("x-amz-content-sha256");
  if (hash !== "UNSIGNED-PAYLOAD" && hash !== sha256(content)) return "XAmzContentSHA256Mismatch";

  const expected = signatureV4(request, {
    secret: KEYS.secretAccessKey,
    time,
    scope,
    signedHeaders,
    hash,
  });
  return signature === expected ? null : "SignatureDoesNotMatch";
}

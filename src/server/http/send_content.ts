/** Sends what is kept, as RFC 9110 has it: all of it, a part, or only word that the client has it already. */
import { createHash } from "node:crypto";
import type { Context } from "../../deps/hono.ts";
import type { ByteRange } from "../../jobs/store/store.ts";
import { HttpError } from "./http_error.ts";

type Body = ReadableStream<Uint8Array<ArrayBuffer>> | Uint8Array<ArrayBuffer>;

/** What can be sent. */
export interface Content {
  /** By {@linkcode etagOf}: another one for other bytes. */
  readonly etag: string;
  readonly type: string;
  readonly bytes: number;
  /** What goes along with it, also where the client has it already. */
  readonly headers: Readonly<Record<string, string>>;
  /** All of it, or a part; null: it is gone. */
  read(range?: ByteRange): Promise<Body | null> | Body;
}

/** A strong entity tag: a short hash of what makes content what it is. */
export function etagOf(identity: string): string {
  return `"${createHash("sha256").update(identity).digest("base64url").slice(0, 22)}"`;
}

/**
 * Answers GET and HEAD. A request for one part is answered by it; one for several by all.
 *
 * @throws {HttpError} When there is no such part, it is not what the client has the tag of, or it is gone.
 */
export async function sendContent(c: Context, content: Content): Promise<Response> {
  const { etag, type, bytes, headers } = content;
  const tagged = { ...headers, "ETag": etag, "Accept-Ranges": "bytes" };
  if (!isNamed(etag, c.req.header("If-Match") ?? "*", "strong")) {
    throw new HttpError(412, "The file is another one by now: ask for it without If-Match.");
  }
  if (isNamed(etag, c.req.header("If-None-Match") ?? "", "weak")) return c.body(null, 304, tagged);
  const isHead = c.req.method === "HEAD";
  const range = isHead ? undefined : rangeOf(c, content);
  if (range === null) {
    throw new HttpError(416, `There is no such part: the file has ${bytes} bytes.`, {
      headers: { "Content-Range": `bytes */${bytes}` },
    });
  }
  // One byte tells whether it is there.
  const body = await content.read(isHead ? { first: 0, last: 0 } : range);
  if (body === null) throw new HttpError(404, "There is no such file.");
  const { first, last } = range ?? { first: 0, last: bytes - 1 };
  return c.body(body, range === undefined ? 200 : 206, {
    ...tagged,
    "Content-Type": type,
    "Content-Length": String(last - first + 1),
    ...range !== undefined && { "Content-Range": `bytes ${first}-${last}/${bytes}` },
  });
}

/** Whether a list of tags has one; "*" has any. Where the comparison is strong, weak ones are none. */
function isNamed(etag: string, list: string, comparison: "strong" | "weak"): boolean {
  return list.trim() === "*" ||
    list.matchAll(/(W\/)?("[^"]*")/g).some(([, weak, tag]) =>
      tag === etag && (comparison === "weak" || weak === undefined)
    );
}

/** The part that is asked for. Undefined: all of it, also where it is asked for in a way that we do not know; null: there is none. */
function rangeOf(c: Context, { etag, bytes }: Content): ByteRange | null | undefined {
  // What the client has a part of may be another one by now. Without a time of change of ours, one of theirs says nothing.
  if (!isNamed(etag, c.req.header("If-Range") ?? etag, "strong")) return undefined;
  const [, from, to] = /^bytes= *(\d*)-(\d*) *$/i.exec(c.req.header("Range") ?? "") ?? [];
  if (from === undefined || from + to === "") return undefined;
  const isSuffix = from === "";
  const first = isSuffix ? Math.max(0, bytes - Number(to)) : Number(from);
  const last = isSuffix || to === "" ? Infinity : Number(to);
  if (last < first) return undefined;
  return first < bytes ? { first, last: Math.min(last, bytes - 1) } : null;
}

/** "Signature Version 4" of requests to S3, written from the AWS documentation. */

import { createHash, createHmac } from "node:crypto";

/** The signature that a request has to have. */
export function signatureV4(
  request: Request,
  { secret, time, scope, signedHeaders, hash }: {
    readonly secret: string;
    /** "20130524T000000Z" */
    readonly time: string;
    /** Date, region, service, "aws4_request". */
    readonly scope: readonly string[];
    /** "host;x-amz-date" */
    readonly signedHeaders: string;
    /** Of the content. */
    readonly hash: string;
  },
): string {
  const url = new URL(request.url);
  const path = url.pathname.split("/").map((part) => encode(decodeURIComponent(part))).join("/");
  const query = [...url.searchParams]
    .filter(([name]) => name !== "X-Amz-Signature")
    .map((pair) => pair.map(encode).join("="))
    .sort().join("&");
  const headers = signedHeaders.split(";")
    .map((name) => `${name}:${request.headers.get(name)?.trim().replace(/ +/g, " ")}\n`).join("");
  const canonical = [request.method, path, query, headers, signedHeaders, hash].join("\n");
  const toSign = ["AWS4-HMAC-SHA256", time, scope.join("/"), sha256(canonical)].join("\n");
  const key = scope.reduce<string | Uint8Array>(
    (key, part) => createHmac("sha256", key).update(part).digest(),
    `AWS4${secret}`,
  );
  return createHmac("sha256", key).update(toSign).digest("hex");
}

export function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** As the documentation's UriEncode(): all but letters, digits, "-", ".", "_" and "~". */
function encode(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
}

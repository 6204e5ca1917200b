/** Who may use the server: whoever has its token. */
import { createHash, timingSafeEqual } from "node:crypto";
import { HttpError } from "./http_error.ts";

/** What a request shows. */
export interface TokenRequest {
  /** Its header; absent: none. */
  readonly authorization?: string | undefined;
  /** Whether it came with a signature, which opens nothing. */
  readonly isSigned: boolean;
}

/**
 * Refuses requests without the token.
 *
 * @returns What throws where a request has not `Authorization: Bearer` (or `Token`) and the token. It takes as long for one that is nearly right as for
 * any other, for hashes are compared.
 */
export function tokenCheck(token: string): (request: TokenRequest) => void {
  const wanted = hash(token);
  return ({ authorization = "", isSigned }) => {
    const [, given] = /^(?:Bearer|Token) +(\S+) *$/i.exec(authorization) ?? [];
    if (given !== undefined && timingSafeEqual(hash(given), wanted)) return;
    throw new HttpError(
      401,
      given !== undefined
        ? "The token is not the server's."
        : isSigned
        ? "The address opens nothing, or no longer: ask the server for a new one."
        : "The token is missing: send it as Authorization: Bearer TOKEN.",
      { headers: { "WWW-Authenticate": "Bearer" } },
    );
  };
}

function hash(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** A hook of the operator's that decides what is made and what is shown. */

import { z } from "../deps/zod.ts";
import { MdmError, UsageError } from "../errors.ts";
import type { Job, JobFile } from "./job.ts";
import { checkOutgoing, fetchOutgoing, hostOf } from "../net/outgoing.ts";

/** Whether to go on; the reason is told to the person who asked. */
export type Verdict = { readonly allow: true } | { readonly allow: false; readonly reason: string };

export interface Moderator {
  /** Judges what is asked for, before anything is computed. */
  before(job: Job): Promise<Verdict>;
  /** Judges a result or a preview, before anybody sees it. */
  after(job: Job, file: JobFile, bytes: Uint8Array<ArrayBuffer>): Promise<Verdict>;
}

const TIMEOUT_MS = 30_000;

const REASON_LETTERS = 500;

const Answer = z.object({ allow: z.boolean(), reason: z.string().optional() });

/**
 * Gives the moderator at an address, which gets `{stage: "before", job, request}` and, of each result and preview,
 * `{stage: "after", job, picture, type, image}` (base64, of that MIME type), and answers 200 with `{allow: true}` or
 * `{allow: false, reason}`. Without an address all is allowed.
 *
 * A hook that gives no such answer allows nothing: its methods throw an `MdmError`.
 *
 * @throws {UsageError} When the address is none.
 */
export function openModerator(url: string | undefined): Moderator {
  if (url === undefined) return { before: allowAll, after: allowAll };
  const target = URL.parse(url);
  // The operator's own host may be a private one.
  const allow = target === null ? [] : [hostOf(target)];
  try {
    checkOutgoing(url, { allow });
  } catch {
    throw new UsageError(
      `The moderation hook needs an address that begins with https:// or http:// and has no password in it.`,
    );
  }
  const ask = async (question: unknown) => readVerdict(await post(url, question, allow));
  return {
    before: ({ id, request }) => ask({ stage: "before", job: id, request }),
    after: ({ id }, { picture, type }, bytes) =>
      ask({ stage: "after", job: id, picture, type, image: bytes.toBase64() }),
  };
}

function allowAll(): Promise<Verdict> {
  return Promise.resolve({ allow: true });
}

async function post(url: string, question: unknown, allow: readonly string[]): Promise<unknown> {
  try {
    const { status, body } = await fetchOutgoing(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(question),
      timeoutMs: TIMEOUT_MS,
    }, { allow });
    if (status === 200) return JSON.parse(new TextDecoder().decode(body));
    throw new MdmError(`it answered ${status}`);
  } catch (error) {
    throw unanswered(
      error instanceof SyntaxError ? "its answer is no JSON" : (error as Error).message,
    );
  }
}

function readVerdict(answer: unknown): Verdict {
  const { success, data } = Answer.safeParse(answer);
  if (!success) throw unanswered(`its answer has no "allow" that is true or false`);
  if (data.allow) return { allow: true };
  return { allow: false, reason: data.reason?.slice(0, REASON_LETTERS) ?? "No reason was given." };
}

function unanswered(why: string): MdmError {
  return new MdmError(
    `The moderation hook gave no answer, and nothing is made without one: ${
      why.replace(/\.$/, "")
    }. Try again later.`,
  );
}

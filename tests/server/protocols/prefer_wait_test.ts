import assert from "../../assert.ts";
import { preferredWait } from "../../../src/server/protocols/prefer_wait.ts";

Deno.test("Prefer says how long an answer may wait", () => {
  const wait = (prefer: string | undefined) => preferredWait(prefer, { bare: 60, silent: 7 });
  for (
    const [prefer, ms] of [
      ["wait=5", 5000],
      ["respond-async, wait=5", 5000],
      ["wait=5;strict", 5000],
      ["wait=0", 0],
      ["wait", 60],
      ["respond-async", 0],
      ["respond-async, wait", 60],
      ["", 7],
      [undefined, 7],
      ["wait=-1", 7],
      ["wait=1.5", 7],
      ["wait=1234567890", 7],
      ["waiting", 7],
      ["nowait=5", 7],
    ] as const
  ) assert.equal(wait(prefer), ms, prefer);
});

import assert from "../../assert.ts";
import { reasonOf, withoutQueries } from "../../../src/server/http/without_queries.ts";

Deno.test("queries, users and passwords of addresses are left out, and nothing else", () => {
  for (
    const [text, expected] of [
      ["(http://a/b?until=1&signature=x): refused", "(http://a/b): refused"],
      ["https://a:81/b?secret", "https://a:81/b"],
      [`"https://a/?x" and 'http://b/c?y=z'`, `"https://a/" and 'http://b/c'`],
      ["redis://user:p%40ss@host:6379/2", "redis://host:6379/2"],
      ["connect to rediss://:pass@host failed", "connect to rediss://host failed"],
      ["GET /jobs/1/files/0.png?until=1&signature=a_b-c 401", "GET /jobs/1/files/0.png 401"],
      ["s3://b/p?X-Amz-Signature=1#x", "s3://b/p"],
      ["What is it? Nothing = everything.", "What is it? Nothing = everything."],
      ["a@b.example and https://a/@b", "a@b.example and https://a/@b"],
      ["", ""],
    ] as const
  ) assert.equal(withoutQueries(text), expected);
});

Deno.test("the reason of an error of fetch is that of its cause", () => {
  const cause = new Error("error for url (http://a/b?key=c): refused");
  assert.equal(
    reasonOf(new TypeError("fetch failed", { cause })),
    "error for url (http://a/b): refused",
  );
  assert.equal(reasonOf(new Error("at http://a/b?key=c")), "at http://a/b");
  assert.equal(reasonOf("nothing"), "nothing");
  assert.equal(reasonOf(undefined), "undefined");
});

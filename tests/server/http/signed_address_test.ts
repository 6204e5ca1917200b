import assert from "../../assert.ts";
import { signedAddresses } from "../../../src/server/http/signed_address.ts";

const FILE = "/jobs/a-1/files/0.png";
const NOW = 1_800_000_000;
const HOUR = 3600;

const addresses = signedAddresses("a secret");

function isSigned(address: string, { method = "GET", now = NOW, by = addresses } = {}): boolean {
  const [path, query] = address.split("?");
  const { until, signature } = Object.fromEntries(new URLSearchParams(query));
  return by.isSigned({ method, path: path!, until, signature }, now);
}

Deno.test("an address opens its path to GET and HEAD until it expires", () => {
  const signed = addresses.sign(FILE, NOW + 60);
  assert.match(signed, /^\/jobs\/a-1\/files\/0\.png\?until=1800000060&signature=[\w-]{43}$/);
  for (const method of ["GET", "HEAD"]) assert.ok(isSigned(signed, { method }), method);
  for (const method of ["POST", "DELETE", "PUT", "OPTIONS"]) {
    assert.ok(!isSigned(signed, { method }), method);
  }
  assert.ok(isSigned(signed, { now: NOW + 59 }));
  assert.ok(!isSigned(signed, { now: NOW + 60 }));
});

Deno.test("an address with any part changed opens nothing", () => {
  const signed = addresses.sign(FILE, NOW + 60);
  const [, signature] = /signature=(.*)/.exec(signed)!;
  for (
    const other of [
      FILE,
      `${FILE}?until=${NOW + 60}`,
      `${FILE}?signature=${signature}`,
      `${FILE}?until=${NOW + 60}&signature=`,
      signed.replace("a-1", "a-2"),
      signed.replace("0.png", "1.png"),
      signed.replace("0.png", "%30.png"),
      signed.replace("/jobs", "//jobs"),
      signed.replace(`until=${NOW + 60}`, `until=${NOW + 61}`),
      signed.replace(`until=${NOW + 60}`, `until=0${NOW + 60}`),
      signed.replace("until=", "until=%20"),
      signed.replace(/.$/, ""),
      `${signed}A`,
      signed.replace(signature!, signature!.split("").reverse().join("")),
      signed.replace(signature!, "\u00e9".repeat(43)),
    ]
  ) assert.ok(!isSigned(other), other);
});

Deno.test("another secret signs otherwise", () => {
  const signed = addresses.sign(FILE, NOW + 60);
  assert.ok(!isSigned(signed, { by: signedAddresses("another secret") }));
  assert.ok(isSigned(signed, { by: signedAddresses("a secret") }), "other processes have the key");
});

Deno.test("only files of jobs and streams of predictions can be opened", () => {
  const opens = (path: string) => isSigned(addresses.sign(path, NOW + 60));
  for (const path of [FILE, "/predictions/a/stream", "/v1/predictions/a/stream"]) {
    assert.ok(opens(path), path);
  }
  for (
    const path of [
      "/metrics",
      "/jobs",
      "/jobs/a",
      "/jobs/a/events",
      "/jobs/a/files/0.png/more",
      "/jobs/a/files/",
      "/jobs/a/b/files/0.png",
      "/predictions/a",
      "/predictions/a/cancel",
      "/v2/predictions/a/stream",
      "/v1/videos/a/content",
    ]
  ) assert.ok(!opens(path), path);
});

Deno.test("an address is good for an hour at least, and the same for some time", () => {
  const until = (signed: string) => Number(/until=(\d+)/.exec(signed)![1]);
  const before = Date.now() / 1000;
  const first = addresses.sign(FILE);
  assert.ok(until(first) >= Math.floor(before) + HOUR);
  assert.ok(until(first) <= Date.now() / 1000 + HOUR + 900);
  assert.equal(until(first) % 900, 0);
  assert.ok(isSigned(first, { now: Date.now() / 1000 }));
});

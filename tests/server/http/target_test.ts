import assert from "../../assert.ts";
import { whatIsNotPlain } from "../../../src/server/http/target.ts";

function isPlain(address: string, ...hosts: string[]): boolean {
  return whatIsNotPlain({ address, hosts: hosts.length === 0 ? ["mdm.example"] : hosts }) === null;
}

Deno.test("what clients send is plain", () => {
  for (
    const address of [
      "/",
      "/jobs",
      "/jobs/a-1/files/0.png?until=1800000000&signature=a-_b",
      "/jobs/a%20b",
      "/v1/models/mdm%2Fshapes32",
      "/jobs?limit=1",
      "/jobs?",
      "/x?a=%",
      `/x?a={"b":[1|2]}^\``,
      "/x?next=/a/../b//c",
      "/a;b=c/d,e/(f)/!$&'*+:@~=",
      "/a|b",
      "/...",
      "/..a/.b",
      "http://mdm.example/jobs",
      "HTTP://MDM.example/jobs?a",
      "//mdm.example/jobs",
    ]
  ) assert.ok(isPlain(address), address);
  for (
    const host of [
      "localhost",
      "LOCALHOST:8000",
      "127.0.0.1:80",
      "[::1]",
      "[::1]:8000",
      "mdm_1.example.",
      "a.b-c:65535",
    ]
  ) {
    assert.ok(isPlain("/jobs", host), host);
  }
});

Deno.test("what parsers read differently is not plain", () => {
  for (
    const address of [
      "",
      "*",
      "jobs",
      "?a",
      "/jobs\\x",
      "/jobs#x",
      "/jobs?a#x",
      "/jobs?a\\b",
      "/a b",
      "/a\tb",
      "/a\r\nb",
      "/a\0",
      "/a\x7f",
      "/\u00e9",
      "/jobs?\u00e9",
      "/a/./b",
      "/a/../b",
      "/a/%2e%2e/b",
      "/a/.%2E/b",
      "/a/..",
      "/a%",
      "/a%zz",
      "/a%2",
      '/a"b',
      "/a{b}",
      "/a<b>",
      "/a`b",
      "http://mdm.example",
      "http://mdm.example?a",
      "http://other.example/jobs",
      "http://mdm.example:81/jobs",
      "http://u@mdm.example/jobs",
      "http://mdm.example\\@other.example/jobs",
      "https://mdm.example/jobs",
      "ftp://mdm.example/jobs",
      "mdm.example:80",
      "http:/jobs",
      "http:jobs",
    ]
  ) assert.ok(!isPlain(address), JSON.stringify(address));
});

Deno.test("a Host has to be one, and written as usual", () => {
  for (
    const host of [
      "",
      "a b",
      "a\\b",
      "a#",
      "a/b",
      "a?b",
      "u@a",
      "a:b",
      "a:",
      "a:123456",
      "a:99999",
      "\u00e9.example",
      "[::1",
      "::1",
      "0x7f.1",
      "127.1",
      "2130706433",
      "999.1.1.1",
      "[1:::2]",
      "a%2e",
      "h\\jobs\\ID\\files\\0.png?until=1&signature=x#",
    ]
  ) assert.ok(!isPlain("/jobs", host), host);
  assert.equal(whatIsNotPlain({ address: "/", hosts: [] }), "Send one Host with the request.");
  assert.ok(!isPlain("/", "a", "a"));
  assert.ok(!isPlain("/", "mdm.example", "other.example"));
});

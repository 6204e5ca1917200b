/**
 * Tries to get past a token with one signed address: requests by the thousand over raw TCP, as no client would write them.
 *
 *     deno run -A tests/server/http/door.ts 100000
 */
import assert from "../../assert.ts";
import { webPage } from "../../../src/server/page/mod.ts";
import { Metrics, metricsPage } from "../../../src/server/http/metrics.ts";
import { cog } from "../../../src/server/protocols/replicate/cog.ts";
import { openai } from "../../../src/server/protocols/openai/openai.ts";
import { native } from "../../../src/server/protocols/native/native.ts";
import { probes } from "../../../src/server/http/probes.ts";
import { runpod } from "../../../src/server/protocols/runpod/runpod.ts";
import { seededRandom } from "../../fuzz/mutate.ts";
import { FakeJobs } from "../fake_jobs.ts";
import { type RawAnswer, rawRequest } from "./raw_http.ts";
import { pick } from "../requests.ts";
import { ADDRESSES, appOf, listening } from "../server.ts";

const PROTOCOLS = [native, probes, openai, cog, runpod, webPage, metricsPage(new Metrics())];
const PROMPT = "a secret star";
const REQUEST = { prompts: [PROMPT], count: 1, seed: "1", levels: false, preview: false };
const AT_ONCE = 16;

/** What was tried, and what came of it: how often each status was answered. */
export type Tally = Readonly<Record<string, number>>;

/**
 * Runs a server with a token, two jobs and an address that opens the file of one, and sends it so many requests without the token.
 *
 * @throws {assert.AssertionError} When anything is answered but GET or HEAD of that very file.
 */
export async function tryTheDoor(requests: number): Promise<Tally> {
  const jobs = new FakeJobs({ finishAtOnce: true });
  const { id } = await jobs.submit(REQUEST);
  const other = await jobs.submit({ ...REQUEST, seed: "2" });
  const file = `/jobs/${id}/files/0.png`;
  const signed = ADDRESSES.sign(file);
  const content = await new Response((await jobs.read(id, "0.png"))!.body).bytes();
  const aims = [
    "/jobs",
    "/metrics",
    `/jobs/${id}`,
    `/jobs/${other.id}/files/0.png`,
    `/jobs/${id}/events`,
  ]
    .concat([
      "/v1/predictions",
      "/v2/x/health",
      "/openapi.json",
      "/v1/models",
      `/predictions/${id}`,
    ]);
  const log: string[] = [];
  const app = appOf(jobs, PROTOCOLS as unknown as Parameters<typeof appOf>[1], {
    token: "secret",
    logRequest: (line) => log.push(line),
  });
  const tally: Record<string, number> = {};
  await listening(app, async (url) => {
    const host = new URL(url).host;
    const one = async (seed: number) => {
      const text = requestOf(seededRandom(seed), { signed, file, aims, host });
      const answer = await rawRequest(url, text);
      tally[answer.status] = (tally[answer.status] ?? 0) + 1;
      check(answer, text, { file, host, content });
    };
    let next = 0;
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (next < requests) await one(next++);
    }));
  }, { deadlines: { headMs: 300, requestMs: 600, idleMs: 600 } });
  // The log tells what was given away, and nothing of the signature.
  const given = log.filter((line) => / 2\d\d \d+ ms$/.test(line));
  assert.ok(given.length > 0, "the address opened nothing: then nothing was tested");
  for (const line of given) assert.match(line, new RegExp(`^(GET|HEAD) ${file} 200 \\d+ ms$`));
  const signature = new URL(signed, "http://mdm.example").searchParams.get("signature")!;
  assert.ok(log.every((line) => !line.includes(signature)));
  return tally;
}

interface Known {
  readonly signed: string;
  readonly file: string;
  readonly aims: readonly string[];
  readonly host: string;
}

/** A request that mixes the signed address with what it does not open. */
function requestOf(random: () => number, { signed, file, aims, host }: Known): string {
  const query = signed.slice(file.length);
  const aim = pick(random, aims);
  const cut = pick(random, [
    "\\",
    "#",
    "?",
    "/../",
    "/..;/",
    "//",
    "%2f",
    "%5c",
    "%23",
    ";",
    "\t",
    " ",
    "\0",
    "@",
    "%00",
    "/./",
  ]);
  const backslashed = signed.replaceAll("/", "\\");
  const address = random() < 0.2 ? signed : pick(random, [
    aim,
    `${aim}${query}`,
    `${aim}${cut}${signed}`,
    `${signed}${cut}${aim}`,
    `${file}${cut}${aim}${query}`,
    `${file}/../../../..${aim}${query}`,
    `${aim}/%2e%2e${file}${query}`,
    `${file}${cut}${query}`,
    `${signed}&until=9999999999`,
    `${file}?signature=x&${query.slice(1)}`,
    `${backslashed}${cut}${aim}`,
    `${aim}${cut}${backslashed}`,
    `${aim}?${cut}${signed}`,
    `/${signed}`,
    encodeURI(encodeURIComponent(signed)),
    signed.replace("0.png", "%30.png"),
    signed.replace(
      "0.png",
      pick(random, ["0.png/", "0.png%00", "./0.png", "preview-0.png", "1.png"]),
    ),
  ]);
  const target = random() < 0.7 ? address : pick(random, [
    `http://${host}${address}`,
    `http://h${backslashed}#${aim}`,
    `http://h${backslashed}#/${address}`,
    `http://${host}${cut}${address}`,
    `http://x:y@${host}${address}`,
    `http://other${address}`,
    `https://${host}${address}`,
    `file://${address}`,
    `//${host}${address}`,
    host,
    "*",
  ]);
  const hosts = random() < 0.7 ? [host] : pick(random, [
    [`h${backslashed}#`],
    [`${host}${backslashed}#`],
    [`${host}${signed}#`],
    [`${host}${cut}${signed}`],
    [`${host}?`],
    [`${host}#`],
    [`x@${host}`],
    ["a b"],
    [""],
    [],
    [host, `h${backslashed}#`],
    [`h${backslashed}#`, host],
    [host.toUpperCase()],
    ["localhost"],
  ]);
  const method = random() < 0.7
    ? "GET"
    : pick(random, ["HEAD", "POST", "DELETE", "PUT", "OPTIONS", "get", "TRACE", "CONNECT"]);
  const headers = [
    ...hosts.map((value) => `Host: ${value}`),
    ...random() < 0.1 ? [`X-Original-URL: ${aim}`, `X-Rewrite-URL: ${aim}`] : [],
    ...random() < 0.1 ? [`X-HTTP-Method-Override: ${pick(random, ["DELETE", "GET"])}`] : [],
    ...random() < 0.1 ? [`X-Forwarded-Host: ${pick(random, [`h${backslashed}#`, "a b"])}`] : [],
    ...random() < 0.1 ? [`Forwarded: host="h${backslashed}#"`] : [],
    ...random() < 0.05
      ? [
        `Authorization: ${
          pick(random, ["Bearer", "Bearer x", `Bearer ${query}`, "Basic c2VjcmV0"])
        }`,
      ]
      : [],
    ...random() < 0.05 ? ["Content-Length: 3", "Transfer-Encoding: chunked"] : [],
    "Connection: close",
  ];
  const version = random() < 0.95
    ? "HTTP/1.1"
    : pick(random, ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", ""]);
  const text = `${method} ${target} ${version}\r\n${headers.join("\r\n")}\r\n\r\n`;
  return random() < 0.8 ? text : spoilt(text, random);
}

/** The text with a few bytes changed, doubled or left out. */
function spoilt(text: string, random: () => number): string {
  let result = text;
  for (let count = 1 + Math.floor(3 * random()); count > 0; count--) {
    const at = Math.floor(random() * result.length);
    const end = at + (random() < 0.5 ? 0 : 1);
    const byte = String.fromCharCode(Math.floor(random() * 256));
    result = result.slice(0, at) + (random() < 0.3 ? "" : byte) + result.slice(end);
  }
  return result;
}

function check(
  { status, head, body }: RawAnswer,
  text: string,
  { file, host, content }: Pick<Known, "file" | "host"> & { readonly content: Uint8Array },
): void {
  const what = `${JSON.stringify(text)}\n${head}\n${new TextDecoder().decode(body).slice(0, 300)}`;
  assert.doesNotMatch(new TextDecoder().decode(body), new RegExp(PROMPT), what);
  // 0: closed without a word, which is what CONNECT gets; 408: what was spoilt had no end.
  if ([0, 400, 401, 404, 405, 408, 421, 431, 505].includes(status)) {
    if (status !== 404 && status !== 405 || /^TRAC[EK] /.test(text)) return;
    // Only where the address opened the file could anything but 401 come of it.
    throw new Error(`the door was open: ${what}`);
  }
  assert.equal(status, 200, what);
  const [, method, authority, path] =
    /^(GET|HEAD) (?:http:\/\/([^/]*))?(\/[^?#\\]*)\?\S*/.exec(text) ?? [];
  assert.equal(decodeURIComponent(path ?? ""), file, what);
  assert.equal((authority ?? host).toLowerCase(), host, what);
  if (method !== "HEAD") assert.deepEqual(body, content, what);
}

if (import.meta.main) {
  const started = performance.now();
  const tally = await tryTheDoor(Number(Deno.args[0] ?? "100000"));
  console.log(JSON.stringify({ tally, seconds: Math.round((performance.now() - started) / 1000) }));
}

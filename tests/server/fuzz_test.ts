/** Requests by the thousand that are wrong in every way: clients make mistakes, the server makes none. */
import assert from "../assert.ts";
import { Metrics, metricsPage } from "../../src/server/http/metrics.ts";
import { cog } from "../../src/server/protocols/replicate/cog.ts";
import { modelList } from "../../src/server/protocols/model_list.ts";
import { openai } from "../../src/server/protocols/openai/openai.ts";
import { webPage } from "../../src/server/page/mod.ts";
import { native } from "../../src/server/protocols/native/native.ts";
import { probes } from "../../src/server/http/probes.ts";
import { replicate } from "../../src/server/protocols/replicate/replicate.ts";
import { runpod } from "../../src/server/protocols/runpod/runpod.ts";
import { seededRandom } from "../fuzz/mutate.ts";
import { FakeJobs, MODEL, VERSION } from "./fake_jobs.ts";
import { RAW_TEXT } from "./http/raw_text.ts";
import { operationsOf, pick, requestFor } from "./requests.ts";
import { appOf } from "./server.ts";

const PROTOCOLS = [
  native,
  probes,
  openai,
  cog,
  replicate({ secret: "whsec_secret" }),
  modelList,
  runpod,
  webPage,
  metricsPage(new Metrics()),
] as const;
const REQUESTS = 3000;
const REQUEST = { prompts: ["a star"], count: 1, seed: "1", levels: false, preview: false };

for (const makes of ["pictures", "videos"] as const) {
  Deno.test(`no request to a server of ${makes} makes it fail or hang`, async () => {
    const jobs = new FakeJobs({ finishAtOnce: true, model: { ...MODEL, makes } });
    const defects: string[] = [];
    const app = appOf(jobs, PROTOCOLS, { logDefect: (line) => defects.push(line) });
    const document = await (await app.request("/openapi.json")).json();
    const operations = operationsOf(document);
    const seen = new Map(operations.map((operation) => [operation, new Set<string>()]));
    for (let seed = 0; seed < REQUESTS; seed++) {
      const random = seededRandom(seed);
      // Requests may have removed the one before.
      const { id, files } = await jobs.submit(REQUEST);
      const known = {
        id: [id, `new-${seed}`, VERSION.id],
        name: [files[0]!.name, MODEL.name],
        model: [MODEL.name],
        owner: ["mdm"],
      };
      const operation = pick(random, operations);
      const request = requestFor(operation, document, known, random);
      const what = `request ${seed}: ${request.method} ${request.url.slice(0, 200)}`;
      const [response, text] = await inTime(
        (async () => {
          const response = await app.fetch(request);
          return [response, await response.text()] as const;
        })(),
        what,
      );
      assert.ok(response.status < 500, `${what}: ${response.status} ${text} ${defects}`);
      const json = /json/.test(response.headers.get("Content-Type") ?? "") && text !== "";
      const refused = response.status >= 400 || json && Boolean(JSON.parse(text).error);
      if (refused && request.method !== "HEAD") {
        assert.ok(json, what);
        assert.doesNotMatch(text, /\.ts:|\bat \w+ \(/, what);
        assert.doesNotMatch(text, RAW_TEXT, what);
      }
      if (request.method === operation.method) {
        seen.get(operation)!.add(refused ? "refused" : "accepted");
      }
    }
    for (const [{ method, path, bodies }, outcomes] of seen) {
      // Spoilt too much or too little, requests test nothing.
      const other = makes === "videos"
        ? path === "/v1/images/generations"
        : path.startsWith("/v1/videos") && (method === "POST" || path !== "/v1/videos");
      const { responses } = document.paths[path][method.toLowerCase()];
      const isAbsent = !Object.keys(responses).some((status) => status.startsWith("2"));
      assert.ok(
        other || isAbsent || outcomes.has("accepted"),
        `nothing was accepted: ${method} ${path}`,
      );
      const takesAll = Object.keys(bodies).length === 0;
      assert.ok(takesAll || outcomes.has("refused"), `nothing was refused: ${method} ${path}`);
    }
  });
}

/** @throws {Error} When it takes more than five seconds. */
async function inTime<T>(work: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what} hangs`)), 5000);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Requests by the thousand that are wrong in every way: clients make mistakes, the server makes none. */
import assert from "node:assert/strict";
import { cog } from "../../src/worker/cog.ts";
import { Metrics, metricsPage } from "../../src/worker/metrics.ts";
import { openai } from "../../src/worker/openai.ts";
import { plain } from "../../src/worker/plain.ts";
import { probes } from "../../src/worker/probes.ts";
import { runpod } from "../../src/worker/runpod.ts";
import { seededRandom } from "../fuzz/mutate.ts";
import { FakeJobs, MODEL } from "./fake_jobs.ts";
import { operationsOf, pick, requestFor } from "./requests.ts";
import { appOf } from "./server.ts";

const FRONT_ENDS = [plain, probes, openai, cog, runpod, metricsPage(new Metrics())] as const;
const REQUESTS = 3000;
const REQUEST = { prompts: ["a star"], count: 1, seed: "1", levels: false, preview: false };

for (const makes of ["pictures", "videos"] as const) {
  Deno.test(`no request to a server of ${makes} makes it fail or hang`, async () => {
    const jobs = new FakeJobs({ finishAtOnce: true, model: { ...MODEL, makes } });
    const defects: string[] = [];
    const app = appOf(jobs, FRONT_ENDS, { logDefect: (line) => defects.push(line) });
    const document = await (await app.request("/openapi.json")).json();
    const operations = operationsOf(document);
    const answered = new Map(operations.map((operation) => [operation, new Set<number>()]));
    for (let seed = 0; seed < REQUESTS; seed++) {
      const random = seededRandom(seed);
      // Requests may have removed the one before.
      const { id, files } = await jobs.submit(REQUEST);
      const known = {
        id: [id, `new-${seed}`],
        name: [files[0]!.name, MODEL.name],
        model: [MODEL.name],
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
      if (response.status >= 400 && request.method !== "HEAD") {
        assert.ok(JSON.parse(text), what);
        assert.doesNotMatch(text, /\.ts:|\bat \w+ \(/, what);
      }
      if (request.method === operation.method) answered.get(operation)!.add(response.status);
    }
    for (const [{ method, path, bodies }, statuses] of answered) {
      const seen = [...statuses];
      // Spoilt too much or too little, requests test nothing.
      const wrongModel = makes === "videos" ? "/v1/images/generations" : "/v1/videos";
      const accepted = method === "POST" && path === wrongModel ||
        seen.some((status) => status < 300);
      // RunPod's answers are 200 whatever they say.
      const refused = path.startsWith("/v2/") || Object.keys(bodies).length === 0 ||
        seen.some((status) => status >= 400);
      assert.ok(accepted && refused, `${method} ${path}: ${seen}`);
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

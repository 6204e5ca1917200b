/** What clients of OpenAI's API that are not written in TypeScript, or are made for more than it, sent, and what they have to get. */
import assert from "../../../assert.ts";
import type { ModelCard } from "../../../../src/jobs/jobs.ts";
import { modelList } from "../../../../src/server/protocols/model_list.ts";
import { openai } from "../../../../src/server/protocols/openai/openai.ts";
import { native } from "../../../../src/server/protocols/native/native.ts";
import recorded from "../../../fixtures/clients/openai.json" with { type: "json" };
import { FakeJobs, MODEL } from "../../fake_jobs.ts";
import { type Said, saidBy } from "./answers.ts";
import { appOf } from "../../server.ts";

/** What was asked for by a client, and answered by a server with a model. */
interface Exchange {
  readonly client: string;
  readonly call: string;
  readonly makes: ModelCard["makes"];
  readonly request: {
    readonly method: string;
    /** With "{id}" where it has that of a job that has ended. */
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    /** A letter for each byte. */
    readonly body?: string;
  };
  readonly said: Said;
}

/** The models whose answers were recorded. */
const MODELS: Readonly<Record<ModelCard["makes"], ModelCard>> = {
  pictures: MODEL,
  videos: {
    name: "balloons",
    makes: "videos",
    levels: [{ width: 16, height: 16 }, { width: 8, height: 8 }],
    sizeStep: 8,
    frames: 4,
  },
};

for (const { client, call, makes, request, said } of recorded as unknown as readonly Exchange[]) {
  Deno.test(`${client}: ${call}`, async () => {
    const jobs = new FakeJobs({ model: MODELS[makes], finishAtOnce: makes === "pictures" });
    const id = await ended(jobs);
    const { method, path, headers, body } = request;
    const app = appOf(jobs, [native, modelList, openai], { token: "secret" });
    const response = await app.request(path.replace("{id}", id), {
      method,
      headers: { ...headers, authorization: "Bearer secret" },
      ...body !== undefined && { body: Uint8Array.from(body, (letter) => letter.charCodeAt(0)) },
    });
    assert.deepEqual(openaisShare(await saidBy(response, id)), said);
  });
}

/** A job that has ended. */
async function ended(jobs: FakeJobs): Promise<string> {
  const videos = jobs.model.makes === "videos";
  const { id, state } = await jobs.submit({
    prompts: [videos ? "a balloon" : "a star"],
    count: 1,
    seed: "7",
    levels: false,
    preview: false,
    ...videos && { format: "mp4" },
  });
  if (state === "queued") await jobs.make(id);
  return id;
}

/** The list of models has what Replicate's clients look for as well. */
function openaisShare(said: Said): Said {
  const { body } = said;
  if (body === null || typeof body !== "object" || !("results" in body)) return said;
  const { next: _next, previous: _previous, results: _results, ...share } = body;
  return { ...said, body: share };
}

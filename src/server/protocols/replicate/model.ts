/** The model and its one version as Replicate's API has them. */
import { z } from "../../../deps/zod_openapi.ts";
import { JOB_STATES } from "../../../jobs/job.ts";
import type { Jobs, ModelCard, ModelVersion } from "../../../jobs/jobs.ts";
import { HttpError } from "../../http/http_error.ts";

/** Whose the model is said to be: on Replicate each has an owner. */
export const OWNER = "mdm";

/** A version of Cog's API; clients take lists of results of ones before 0.3.9 for another thing. */
const COG_VERSION = "0.16.0";

export const Version = z.object({
  id: z.string().describe("The SHA-256 of the model's files, as each PNG holds it."),
  created_at: z.iso.datetime().describe("When the last of these files was written."),
  cog_version: z.string(),
  openapi_schema: z.record(z.string(), z.unknown()).describe(
    "What a prediction takes and gives: the components `Input` and `Output`.",
  ),
}).openapi("ReplicateVersion");

export type Version = z.infer<typeof Version>;

export const Model = z.object({
  url: z.string(),
  owner: z.string(),
  name: z.string(),
  description: z.string(),
  visibility: z.literal("private"),
  github_url: z.null(),
  paper_url: z.string(),
  license_url: z.null(),
  run_count: z.int().describe("Predictions that the server knows of."),
  cover_image_url: z.null(),
  default_example: z.null(),
  latest_version: Version,
}).openapi("ReplicateModel");

export type Model = z.infer<typeof Model>;

/** A page of a list. */
export function pageOf<S extends z.ZodType>(results: S) {
  return z.object({
    previous: z.string().nullable(),
    next: z.string().nullable(),
    results: z.array(results),
  });
}

/** A whole list as a page. */
export function page<T>(results: T[]): { previous: null; next: null; results: T[] } {
  return { previous: null, next: null, results };
}

/** What `owner/name` has to be. */
export function modelName({ name }: Pick<ModelCard, "name">): string {
  return `${OWNER}/${name}`;
}

/** @throws {HttpError} When another model is asked for. */
export function checkModel(card: ModelCard, owner: string, name: string): void {
  const here = modelName(card);
  if (`${owner}/${name}` === here) return;
  throw new HttpError(404, `There is no such model: "${here}" is the one here.`);
}

/** What ids of versions look like. */
export const VERSION_ID = /^[0-9a-f]{64}$/;

/**
 * Checks the version of a new prediction: an id, `owner/name`, or both with a colon between. Programs have the id of the model that they
 * were written for; whatever it is, the one here answers, and a prediction says which that is.
 *
 * @throws {HttpError} When it is of another model, or none.
 */
export function checkVersion(card: ModelCard, { id }: ModelVersion, asked: string): void {
  const here = modelName(card);
  const [name, version] = asked.includes("/") ? asked.split(":", 2) : [here, asked];
  if (name === here && (version === undefined || VERSION_ID.test(version))) return;
  throw new HttpError(422, `There is no such version: give "${here}:${id}", or leave it out.`);
}

/** @param schema Cog's description of the model. */
export function version(
  { id, changedAt }: ModelVersion,
  schema: Version["openapi_schema"],
): Version {
  return {
    id,
    created_at: new Date(changedAt).toISOString(),
    cog_version: COG_VERSION,
    openapi_schema: schema,
  };
}

/** @param url Where people see it. */
export async function model(jobs: Jobs, latest: Version, url: string): Promise<Model> {
  const { name, makes, levels: [outermost] } = jobs.model;
  const { jobs: counts } = await jobs.health();
  return {
    url,
    owner: OWNER,
    name,
    description: `Makes ${makes} of ${outermost!.width}x${
      outermost!.height
    } from text: a Matryoshka Diffusion Model.`,
    visibility: "private",
    github_url: null,
    paper_url: "https://arxiv.org/abs/2310.15111",
    license_url: null,
    run_count: JOB_STATES.reduce((sum, state) => sum + counts[state], 0),
    cover_image_url: null,
    default_example: null,
    latest_version: latest,
  };
}

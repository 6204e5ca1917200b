/** What OpenAI's API has and this server has not: said in one sentence, whatever the body is. */
import type { OpenAPIHono } from "../../../deps/zod_openapi.ts";
import type { ModelCard } from "../../../jobs/jobs.ts";
import { HttpError } from "../../http/http_error.ts";

/** What takes other pictures or videos. */
const FROM_OTHERS = [
  "/v1/images/edits",
  "/v1/images/variations",
  "/v1/videos/edits",
  "/v1/videos/extensions",
  "/v1/videos/characters",
  "/v1/videos/characters/:id",
  "/v1/videos/:id/remix",
];

/** What models of other kinds do, and what is kept for them. */
const OTHERS = [
  "assistants",
  "audio",
  "batches",
  "chat",
  "chatkit",
  "completions",
  "containers",
  "conversations",
  "edits",
  "embeddings",
  "engines",
  "evals",
  "fine_tuning",
  "messages",
  "moderations",
  "organization",
  "realtime",
  "rerank",
  "responses",
  "skills",
  "threads",
  "uploads",
  "vector_stores",
];

/** Refuses all of it. To be called before routes with parameters are made, which some of these paths look like. */
export function refusals(app: OpenAPIHono, { makes }: ModelCard): void {
  const where = placeFor(makes);
  for (const path of FROM_OTHERS) {
    app.all(path, () => {
      const message = `The model makes ${makes} from text alone, not from others: ask at ${where}.`;
      throw new HttpError(400, message, { code: "unsupported" });
    });
  }
  for (const name of OTHERS) {
    app.all(`/v1/${name}/*`, () => {
      throw new HttpError(404, `This server makes ${makes} from text: ask at ${where}.`, {
        code: "unsupported",
      });
    });
  }
}

/** An error, with what to do about a body that is too large: it is files that make it so. */
export function withAdvice(error: unknown, { makes }: ModelCard): unknown {
  if (!(error instanceof HttpError) || error.status !== 413) return error;
  const limit = error.message.replace(/\.$/, "");
  return new HttpError(
    413,
    `${limit}; the model makes ${makes} from text alone, so send no files.`,
  );
}

/** Where pictures or videos are asked for. */
export function placeFor(makes: ModelCard["makes"]): string {
  return makes === "pictures" ? "/v1/images/generations" : "/v1/videos";
}

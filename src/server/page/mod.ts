/** The page at `/`, for people: its files, and what it has to know of the model. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { SAMPLERS } from "../../diffusion/samplers/mod.ts";
import { IMAGE_FORMATS, VIDEO_FORMATS } from "../../media/output_format.ts";
import { takesJobs } from "../../jobs/jobs.ts";
import { DEFAULT_GUIDANCE, DEFAULT_SAMPLER } from "../../pipeline/request.ts";
import type { ProtocolFactory } from "../http/protocol.ts";
import type { Offer } from "../input/options.ts";
import { type Content, etagOf, sendContent } from "../http/send_content.ts";
import api from "./api.js" with { type: "text" };
import element from "./element.js" with { type: "text" };
import favicon from "./favicon.svg" with { type: "text" };
import history from "./history.js" with { type: "text" };
import html from "./index.html" with { type: "text" };
import css from "./page.css" with { type: "text" };
import page from "./page.js" with { type: "text" };
import sentences from "./sentences.js" with { type: "text" };
import settings from "./settings.js" with { type: "text" };
import stage from "./stage.js" with { type: "text" };
import storage from "./storage.js" with { type: "text" };
import tile from "./tile.js" with { type: "text" };
import token from "./token.js" with { type: "text" };

const HTML = "text/html; charset=utf-8";
const CSS = "text/css; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";

/** Nothing but our own files is run, and nothing but this server is talked to; pictures are blobs. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The files of the page by their paths. They hold no secret: people need them to give their token. */
const FILES = {
  "/": file(HTML, html),
  "/page/api.js": file(SCRIPT, api),
  "/page/element.js": file(SCRIPT, element),
  // Where browsers look for it when they show something else of ours, such as a picture.
  "/favicon.ico": file("image/svg+xml", favicon),
  "/page/favicon.svg": file("image/svg+xml", favicon),
  "/page/history.js": file(SCRIPT, history),
  "/page/page.css": file(CSS, css),
  "/page/page.js": file(SCRIPT, page),
  "/page/sentences.js": file(SCRIPT, sentences),
  "/page/settings.js": file(SCRIPT, settings),
  "/page/stage.js": file(SCRIPT, stage),
  "/page/storage.js": file(SCRIPT, storage),
  "/page/tile.js": file(SCRIPT, tile),
  "/page/token.js": file(SCRIPT, token),
};

/** Where the page learns how the server is: with 200 whatever it is, for browsers write other answers into their consoles. */
const STATE_PATH = "/page/state";

/** Paths that have to be answered without a token. */
export const PAGE_PATHS: readonly string[] = [...Object.keys(FILES), STATE_PATH];

const ModelJson = z.object({
  name: z.string(),
  makes: z.enum(["pictures", "videos"]),
  levels: z.array(z.object({ width: z.int(), height: z.int() })).describe(
    "Every resolution that a picture is made in, the outermost first.",
  ),
  frames: z.int().describe("1 for pictures."),
  samplers: z.array(
    z.object({ name: z.string(), description: z.string(), defaultSteps: z.int() }),
  ),
  formats: z.array(z.string()).describe("How files can be written; without a word, the first one."),
  defaults: z.object({
    sampler: z.string(),
    guidance: z.number(),
    steps: z.int().nullable().describe("Null: as many as the sampler has."),
    negative: z.string(),
  }).describe("What is taken where a request does not say."),
  limits: z.object({
    pictures: z.int().describe("Of a job."),
    steps: z.int(),
    promptLength: z.int().describe("Letters."),
    pixels: z.int().describe("Width times height."),
  }),
}).openapi("Model");

/** `/`, the files that it needs, and `/model`. */
export const webPage: ProtocolFactory = ({ jobs, needsToken }) => {
  const app = new OpenAPIHono();
  for (const [path, file] of Object.entries(FILES)) app.get(path, (c) => sendContent(c, file));
  app.get(STATE_PATH, (c) => {
    const health = jobs.knownHealth();
    const { reason, away } = health;
    const state = { ready: takesJobs(health), reason: reason ?? away, needsToken };
    return c.json(state, 200, { "Cache-Control": "no-store" });
  });
  app.openapi(
    createRoute({
      method: "get",
      path: "/model",
      tags: ["Jobs"],
      summary: "What the model makes, and what may be asked of it",
      responses: {
        200: {
          description: "The model.",
          content: { "application/json": { schema: ModelJson } },
        },
      },
    }),
    (c) => c.json(modelJson(jobs), 200),
  );
  return { routes: app };
};

function modelJson({ model, limits, defaults }: Offer): z.infer<typeof ModelJson> {
  const { name, makes, levels, frames } = model;
  const { pictures, steps, promptLength, pixels } = limits;
  return {
    name,
    makes,
    levels: [...levels],
    frames,
    samplers: Object.entries(SAMPLERS).map(([name, { description, defaultSteps }]) => ({
      name,
      description,
      defaultSteps,
    })),
    formats: [...makes === "videos" ? VIDEO_FORMATS : IMAGE_FORMATS],
    defaults: {
      sampler: defaults.sampler ?? DEFAULT_SAMPLER,
      guidance: defaults.guidance ?? DEFAULT_GUIDANCE,
      steps: defaults.steps ?? null,
      negative: defaults.negative ?? "",
    },
    limits: { pictures, steps, promptLength, pixels },
  };
}

function file(type: string, text: string): Content {
  const all = new TextEncoder().encode(text);
  return {
    etag: etagOf(text),
    type,
    bytes: all.length,
    headers: {
      // Asked for again each time, which an unchanged file answers in a few bytes.
      "Cache-Control": "no-cache",
      "Content-Security-Policy": CONTENT_SECURITY_POLICY,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
    },
    read: ({ first, last } = { first: 0, last: all.length - 1 }) => all.slice(first, last + 1),
  };
}

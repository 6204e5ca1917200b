/** A process of the worker: HTTP, a queue, and what makes the pictures, in any combination. */
import { join } from "node:path";
import { MdmError } from "../errors.ts";
import type { EngineOptions } from "../engine/engine_protocol.ts";
import type { RequestDefaults } from "../jobs/job.ts";
import type { Jobs, Limits } from "../jobs/jobs.ts";
import { modelCard } from "../jobs/model_card.ts";
import { VersionReader } from "../jobs/model_version.ts";
import { planJob } from "../jobs/plan_job.ts";
import { openModerator } from "../jobs/moderation.ts";
import { openQueue } from "../jobs/queue/open_queue.ts";
import { openStore } from "../jobs/store/open_store.ts";
import type { JobQueue } from "../jobs/queue/queue.ts";
import { watchQueue } from "../jobs/queue/watched_queue.ts";
import { JobService, type WorkerHealth } from "../jobs/service.ts";
import { removeFiles } from "../jobs/store/remove_files.ts";
import { type WatchedStore, watchStore } from "../jobs/store/watched_store.ts";
import { tellUnlessAway } from "../jobs/unavailable.ts";
import { loadSecret } from "../jobs/webhooks/secret.ts";
import { Courier } from "../jobs/webhooks/dispatcher.ts";
import { Worker } from "../jobs/worker.ts";
import { asWriteError } from "../files/write_file.ts";
import { sizeMultiple } from "../model/config.ts";
import type { DescribedModel } from "../pipeline/models/built_in.ts";
import { ModelSource } from "../pipeline/models/model_source.ts";
import { createApp } from "./http/app.ts";
import { cog } from "./protocols/replicate/cog.ts";
import { Metrics, metricsPage } from "./http/metrics.ts";
import { listen, type Listening } from "./http/listen.ts";
import { modelList } from "./protocols/model_list.ts";
import { openai } from "./protocols/openai/openai.ts";
import { PAGE_PATHS, webPage } from "./page/mod.ts";
import { native } from "./protocols/native/native.ts";
import { probes } from "./http/probes.ts";
import { replicate } from "./protocols/replicate/replicate.ts";
import { runpod } from "./protocols/runpod/runpod.ts";
import type { RunpodSettings } from "./protocols/runpod/platform.ts";
import { pullRunpodJobs } from "./protocols/runpod/pull.ts";
import { type SignedAddresses, signedAddresses } from "./http/signed_address.ts";
import { keepQueriesOutOfSpans } from "./http/telemetry.ts";
import { webhookBody } from "./protocols/webhook_body.ts";

/** Where and how HTTP is spoken. */
export interface HttpOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** What clients have to send; null: nothing. */
  readonly token: string | null;
  /** Origins whose pages may use the server. */
  readonly cors: readonly string[];
  /** Names that the server goes by; null: any. */
  readonly allowedHosts: readonly string[] | null;
  /** Whether other sizes than the model's own are refused where clients of OpenAI's API ask for them. */
  readonly strictSizes: boolean;
  /** Whether each request is told of on stderr. */
  readonly verbose: boolean;
}

export interface ServerOptions {
  readonly engine: EngineOptions;
  /** Whether this process makes pictures. */
  readonly worker: boolean;
  /** Null: no HTTP. */
  readonly http: HttpOptions | null;
  /** Where clients reach the server, for addresses of files; null: where they say that they do, and in webhooks nowhere. */
  readonly publicUrl: string | null;
  /** A folder for what is kept: the queue, results and the webhooks' secret, unless they are elsewhere. */
  readonly data: string;
  /** A file, or redis://... */
  readonly queue?: string;
  /** A folder, or s3://... */
  readonly results?: string;
  /** What webhooks and addresses are signed with; absent: a secret of our own, kept in the data folder. */
  readonly webhookSecret?: string;
  /** Hosts that webhooks may go to although they are not public. */
  readonly allowHosts: readonly string[];
  /** Who is asked before and after pictures are made. */
  readonly moderation?: string;
  readonly limits: Limits;
  /** What is taken where a request does not say; absent: what the model does. */
  readonly defaults?: RequestDefaults;
  /** Jobs that may wait. */
  readonly queueLimit: number;
  /** Where jobs are taken in a container of RunPod's; null: it is none. */
  readonly runpod: RunpodSettings | null;
  /** Milliseconds that jobs that have ended are kept. */
  readonly keepMs: number;
  /** Milliseconds after which a worker that has said nothing counts as dead. */
  readonly leaseMs: number;
  /** How often a job is begun before it counts as lost. */
  readonly maxAttempts: number;
}

/** The folder of results within that of data. */
const RESULTS = "results";

/** How often to look for what need not be kept any more. */
const SWEEP_MS = 60_000;

/** How long open requests have at the end. */
const CLOSE_MS = 2000;

/** How long nothing may be sent on a connection, beside waiting for a job. */
const STALL_MS = 60_000;

/** Is told of what happens to the process. */
export interface ServerEvents {
  /** HTTP is answered at this address. */
  readonly onListen?: (url: string) => void;
  /** The worker has become ready, or cannot be. */
  readonly onState?: (health: WorkerHealth) => void;
}

/** A running process of the worker. */
export class Server {
  private constructor(
    /** What protocols are given, for who asks from within. */
    readonly jobs: JobService,
    private readonly parts: AsyncDisposableStack,
    private readonly worker: Worker | null,
    private readonly http: Listening | null,
    private readonly pull: RunpodPull | null,
  ) {}

  /**
   * Opens the queue and the store, answers HTTP, and begins to load the model.
   *
   * @throws {MdmError} When one of them cannot be.
   */
  static async start(options: ServerOptions, events: ServerEvents = {}): Promise<Server> {
    const { engine, limits, defaults = {}, data, leaseMs } = options;
    keepQueriesOutOfSpans();
    await using parts = new AsyncDisposableStack();
    using source = await ModelSource.open(engine.model, engine.pipeline);
    const model = { path: source.path, config: source.config, diffusion: source.diffusion };
    checkDefaults(defaults, model);
    await makeFolder(data);
    if (options.results === undefined) await makeFolder(join(data, RESULTS));
    const opened = await openQueue(options.queue ?? join(data, "queue.sqlite"), {
      limit: options.queueLimit,
      leaseMs,
      maxAttempts: options.maxAttempts,
    });
    const warn = console.error;
    const queue = parts.use(watchQueue(opened, { warn }));
    const kept = await openStore(options.results ?? join(data, RESULTS));
    const store = parts.use(watchStore(kept, { warn, writes: options.worker }));
    const metrics = new Metrics();
    const worker = !options.worker ? null : new Worker({
      queue,
      store,
      model,
      moderator: openModerator(options.moderation),
      engine,
      outages: [queue.outage, store.outage],
      leaseMs,
      runMs: limits.runMs,
      onEvent: (event) => {
        if (event.kind === "step") metrics.step(event.ms, event.images);
        else metrics.coldStart(event.stage, event.ms);
      },
      ...events.onState && { onState: events.onState },
    });
    parts.defer(() => worker?.drain(0));
    const reader = parts.use(new VersionReader(source));
    const service = new JobService({
      queue,
      store,
      model,
      card: modelCard(model),
      version: () => reader.version(),
      limits,
      defaults,
      worker: () => worker?.health() ?? NO_WORKER,
    });
    parts.use(countJobs(queue, metrics));
    parts.use(sweepRegularly(queue, store, options.keepMs));
    const secret = options.webhookSecret ?? await loadSecret(join(data, "webhook-secret"));
    const addresses = signedAddresses(secret);
    const { publicUrl } = options;
    const courier = parts.use(
      new Courier({
        queue,
        secret,
        allow: options.allowHosts,
        bodyOf: webhookBody(service, { publicUrl, sign: (path) => addresses.sign(path) }),
        warn,
        onTry: (result) => metrics.delivery(result),
      }),
    );
    const unlisten = queue.listen(({ job }) => job.webhook !== null && courier.wake());
    parts.defer(unlisten);
    const http = options.http === null
      ? null
      : await serve(options.http, { jobs: service, addresses, metrics, publicUrl, secret }, events);
    const pull = options.runpod === null ? null : pullFrom(options.runpod, service);
    return new Server(service, parts.move(), worker, http, pull);
  }

  /**
   * Takes no more jobs, has those that run end or gives them back after so many milliseconds, and closes everything. HTTP is answered
   * until the jobs are.
   */
  async stop(graceMs: number): Promise<void> {
    this.pull?.stop.abort();
    await this.worker?.drain(graceMs);
    this.pull?.leave.abort();
    await this.pull?.finished;
    // Nothing more is going to happen to jobs that clients listen to.
    this.jobs.close();
    await this.http?.close(CLOSE_MS);
    await this.parts.disposeAsync();
  }
}

/** Taking jobs from RunPod: stopped it takes no more, left it does not wait for those that it has. */
interface RunpodPull {
  readonly stop: AbortController;
  readonly leave: AbortController;
  readonly finished: Promise<void>;
}

function pullFrom(settings: RunpodSettings, jobs: Jobs): RunpodPull {
  const [stop, leave] = [new AbortController(), new AbortController()];
  const options = { settings, signal: stop.signal, over: leave.signal, warn: console.error };
  return { stop, leave, finished: pullRunpodJobs(jobs, options) };
}

const NO_WORKER: WorkerHealth = {
  worker: "none",
  reason: null,
  slots: { all: 0, busy: 0 },
  stepMs: null,
};

async function serve(
  { host, port, token, cors, allowedHosts, strictSizes, verbose }: HttpOptions,
  { jobs, addresses, metrics, publicUrl, secret }: {
    readonly jobs: JobService;
    readonly addresses: SignedAddresses;
    readonly metrics: Metrics;
    readonly publicUrl: string | null;
    readonly secret: string;
  },
  { onListen }: ServerEvents,
): Promise<Listening> {
  const log = verbose ? { logRequest: (line: string) => console.error(line) } : {};
  const app = createApp({
    jobs,
    open: PAGE_PATHS,
    protocols: [
      ...[native, probes, metricsPage(metrics), cog, replicate({ secret })] as const,
      ...[runpod, modelList, openai, webPage],
    ],
    token,
    addresses,
    publicUrl,
    cors,
    strictSizes,
    ...allowedHosts !== null && { allowedHosts },
    ...log,
  });
  try {
    const stallMs = jobs.limits.waitMs + STALL_MS;
    const listening = await listen((request) => app.fetch(request), {
      host,
      port,
      stallMs,
      ...log,
    });
    onListen?.(listening.url);
    return listening;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new MdmError(
      error instanceof Deno.errors.AddrInUse
        ? `Another program listens at port ${port} of ${host}. Give another --port.`
        : `Cannot listen at ${host}, port ${port}: ${
          (error as Error).message
        }. Give another --host or --port.`,
    );
  }
}

/**
 * Checks that there is nothing among them for which every request that says nothing would be refused.
 *
 * @throws {UsageError} When the model cannot do it.
 */
function checkDefaults(
  defaults: RequestDefaults,
  model: Pick<DescribedModel, "config" | "diffusion">,
): void {
  if (Object.keys(defaults).length === 0) return;
  const size = sizeMultiple(model.config.unet);
  const said = { prompts: [""], count: 1, seed: "0", levels: false, preview: false, size };
  planJob({ ...said, ...defaults }, model);
}

/** Makes a folder that is its owner's only, where there is none. */
async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw asWriteError(path, error);
  }
}

/** Counts jobs that end. */
function countJobs(queue: JobQueue, metrics: Metrics): Disposable {
  const unlisten = queue.listen(({ change, job, file }) => {
    if (change === "file" && file?.level === 0) metrics.picture();
    if (change !== "state" || job.finishedAt === null) return;
    metrics.jobEnded(job.state, job.origin, (job.finishedAt - job.createdAt) / 1000);
    if (job.timings !== null) metrics.gpu(job.timings.gpuSeconds);
  });
  return { [Symbol.dispose]: unlisten };
}

/** Forgets jobs that have been kept long enough, and their files. */
function sweepRegularly(queue: JobQueue, store: WatchedStore, keepMs: number): AsyncDisposable {
  let sweeping = Promise.resolve();
  const sweep = async () => {
    // What is forgotten would leave its files behind.
    if (store.outage.reason !== null) return;
    try {
      await removeFiles(store, await queue.forget(Date.now() - keepMs));
    } catch (error) {
      tellUnlessAway(error);
    }
  };
  const timer = setInterval(() => sweeping = sweeping.then(sweep), SWEEP_MS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await sweeping;
    },
  };
}

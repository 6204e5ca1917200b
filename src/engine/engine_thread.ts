/**
 * The engine's thread: a pipeline and its scheduler, so that the thread that answers HTTP never waits for a GPU. It is started as a Web Worker,
 * and nobody ends it but itself: a driver that is cut off in its work can take the process with it.
 */
import { MdmError } from "../errors.ts";
import { Pipeline, type Stage } from "../pipeline/pipeline.ts";
import { modelIdentity } from "../pipeline/png_parameters.ts";
import type { EngineCommand, EngineOptions, EngineReport } from "./engine_protocol.ts";
import { StepScheduler } from "./scheduler.ts";

const thread = globalThis as unknown as {
  onmessage: ((event: MessageEvent<EngineCommand>) => void) | null;
  postMessage(report: EngineReport): void;
  close(): void;
};

/** Where commands go: into a list until the scheduler is there. */
let obey: (command: EngineCommand) => void;
const early: EngineCommand[] = [];
let isClosed = false;

thread.onmessage = ({ data: command }) => {
  if (command.kind === "close") isClosed = true;
  if (command.kind === "start") void run(command.options);
  else if (obey === undefined) early.push(command);
  else obey(command);
};

/** Loads, makes an image to have everything compiled, and works until it is closed. */
async function run({ model, pipeline: options, slots }: EngineOptions): Promise<void> {
  const report = (message: EngineReport) => thread.postMessage(message);
  try {
    const stages = measuredStages(report);
    await using pipeline = await Pipeline.load(model, { ...options, onStage: stages.enter });
    await warmUp(pipeline);
    stages.end();
    const identity = modelIdentity(pipeline.folder);
    identity.catch(() => {}); // Looked at when the first image is there.
    const scheduler = new StepScheduler(pipeline, { slots, model: identity, emit: report });
    obey = (command) => carryOut(command, scheduler);
    report({ kind: "ready", adapter: pipeline.gpu.info.name, slots });
    for (const command of early) obey(command);
    await scheduler.run();
  } catch (error) {
    if (!(error instanceof MdmError)) console.error(error);
    report({
      kind: "broken",
      message: error instanceof MdmError ? error.message : "The engine has a defect.",
    });
  }
  report({ kind: "ended" });
  // One that was closed, or was never ready, stays as long as the process, which ends now: a thread that goes unloads the driver, and a
  // process that exits at that moment crashes in it.
  if (obey !== undefined && !isClosed) thread.close();
}

function carryOut(command: EngineCommand, scheduler: StepScheduler): void {
  switch (command.kind) {
    case "make":
      return scheduler.add(command.task);
    case "cancel":
      return scheduler.cancel(command.id);
    case "save":
      return scheduler.save();
    case "close":
      return scheduler.close();
  }
}

/** A step with the model's own settings: weights are read, and kernels compiled. */
async function warmUp(pipeline: Pipeline): Promise<void> {
  const { classes } = pipeline.folder;
  const prompt = classes ? { prompt: "0", guidance: 1 } : { prompt: "" };
  for await (const _ of pipeline.generate({ ...prompt, seed: 0, steps: 1 })) {
    /* Not looked at. */
  }
}

/** Reports how long each stage of the start took; what comes after is no part of it. */
function measuredStages(report: (message: EngineReport) => void) {
  let current: Stage | null = null;
  let since = performance.now();
  let isOver = false;
  const turn = (next: Stage | null) => {
    const now = performance.now();
    if (current !== null) report({ kind: "started", stage: current, ms: now - since });
    [current, since] = [next, now];
  };
  return {
    enter: (stage: Stage) => {
      if (!isOver) turn(stage);
    },
    end: () => {
      turn(null);
      isOver = true;
    },
  };
}

/** Reading what RunPod's platform gives: what is odd in it costs itself only. */
import { z } from "../../../deps/zod.ts";
import { MdmError } from "../../../errors.ts";

/** One job as the platform gives it; its id may be anything that an address can have in it. */
export interface RunpodTask {
  readonly id: string;
  readonly input?: unknown;
}

export interface TakenTasks {
  readonly tasks: readonly RunpodTask[];
  /** How many more there were, without an id: nothing can be told of them. */
  readonly nameless: number;
}

/** Letters of an id that the platform can be told of. */
const LONGEST_ID = 1024;

/** No part of an address can be "." or "..", which lead elsewhere. */
const Id = z.union([z.string(), z.number().transform(String)]).refine((id) =>
  id.length > 0 && id.length <= LONGEST_ID && id.isWellFormed() && !/^\.\.?$/.test(id)
);
const Task = z.object({ id: Id, input: z.unknown().optional() });

/**
 * Reads jobs: one, or a list.
 *
 * @param text "": none.
 * @throws {MdmError} When it is something else, or no job in it has an id.
 */
export function readTasks(text: string): TakenTasks {
  const json = text === "" ? null : parse(text, "jobs");
  const given = Array.isArray(json) ? json : json === null ? [] : [json];
  const tasks = given.flatMap((one) => Task.safeParse(one).data ?? []);
  if (given.length > 0 && tasks.length === 0) {
    throw new MdmError("RunPod sent a job without an id.");
  }
  return { tasks, nameless: given.length - tasks.length };
}

const Stops = z.object({ jobsToStop: z.array(z.unknown()).default([]) });

/**
 * Reads the ids of jobs that are to stop; what is no id is left out.
 *
 * @param text "": none.
 * @throws {MdmError} When it is something else.
 */
export function readStops(text: string): readonly string[] {
  if (text === "") return [];
  const { success, data } = Stops.safeParse(parse(text, "jobs to stop"));
  if (!success) throw new MdmError("RunPod sent something else than a list of jobs to stop.");
  return data.jobsToStop.filter((id) => typeof id === "string");
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new MdmError(`RunPod sent ${what} that are not JSON.`);
  }
}

/** Measuring one case on several peers. */
import { Safetensors } from "../src/checkpoint/safetensors.ts";
import { compare } from "../src/verify/comparison.ts";
import { type CaseDescription, writeCase } from "./cases/folder.ts";
import type { Case } from "./cases/case.ts";
import { median } from "../src/median.ts";
import { type Effort, PeerRun } from "./peer_run.ts";
import type { Peer } from "./peers/mod.ts";
import type { CaseResult, Measurement } from "./results.ts";

/** Measures a case in an empty folder. */
export async function measureCase(
  given: Case,
  peers: readonly Peer[],
  folder: string,
  effort: Effort,
): Promise<CaseResult> {
  const description = await writeCase(folder, given);
  const able = peers.filter((peer) => peer.takes(given));
  // Small cases are measured in turns, so that what else the machine does meets all of them alike.
  const together = given.large ? able.map((peer) => [peer]) : [able];
  const runs: PeerRun[] = [];
  for (const group of together) runs.push(...await runTogether(group, folder, effort));
  return {
    name: given.name,
    group: given.group,
    flops: description.flops,
    measurements: await compared(runs, description),
  };
}

async function runTogether(
  peers: readonly Peer[],
  folder: string,
  effort: Effort,
): Promise<PeerRun[]> {
  await using processes = new AsyncDisposableStack();
  const runs = peers.map((peer) => processes.use(new PeerRun(peer, folder, effort)));
  for (const run of runs) await run.warmUp();
  for (let round = 0; round < effort.rounds; round++) {
    for (const run of runs) await run.measure();
  }
  for (const run of runs) await run.write();
  return runs;
}

/** The results, with how far each peer's outputs are from the first one's. */
async function compared(
  runs: readonly PeerRun[],
  { outputs }: CaseDescription,
): Promise<Measurement[]> {
  const results: Measurement[] = [];
  const [first] = runs;
  for (const { peer, version, times, failure, outputs: path } of runs) {
    const comparable = failure === null && first!.failure === null && peer !== first!.peer;
    const failed = failure !== null || times.length === 0;
    results.push({
      peer: peer.name,
      version,
      ms: failed ? null : median(times),
      fastestMs: failed ? null : Math.min(...times),
      rounds: times.length,
      relativeL2: comparable
        ? await distance(path, first!.outputs, outputs.map(({ name }) => name))
        : null,
      failure,
    });
  }
  return results;
}

/** The largest relative L2 distance of all outputs. */
async function distance(path: string, other: string, names: readonly string[]): Promise<number> {
  using ours = await Safetensors.open(path);
  using theirs = await Safetensors.open(other);
  const distances: number[] = [];
  for (const name of names) {
    const [a, b] = [await ours.readFloat32(name), await theirs.readFloat32(name)];
    distances.push(compare(name, a, b, 0).relativeL2);
  }
  return Math.max(...distances);
}

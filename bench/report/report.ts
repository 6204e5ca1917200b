import type { CaseResult, Measurement } from "../results.ts";
import type { Machine } from "../machine.ts";
import type { Peak } from "../peak/mod.ts";
import type { PeerName } from "../peers/mod.ts";

/** The largest relative L2 distance between two peers' outputs that is rounding. */
export const TOLERANCE = 1e-4;

/** Everything that a run of the bench found out. */
export interface Report {
  readonly machine: Machine;
  /** Threads of peers on the processor. */
  readonly threads: number;
  readonly peak: Peak;
  readonly tolerance: number;
  /** Whether every peer's outputs are those of the first one. */
  readonly agree: boolean;
  readonly peers: readonly ReportedPeer[];
  readonly cases: readonly CaseResult[];
}

/** A peer as the report names it. */
export interface ReportedPeer {
  readonly name: PeerName;
  readonly title: string;
  readonly onAdapter: boolean;
}

/** Whether a peer's outputs are what they should be, or cannot be compared. */
export function agrees({ relativeL2 }: Measurement): boolean {
  return relativeL2 === null || relativeL2 <= TOLERANCE;
}

/** Operations a second; null where nothing was measured or counted. */
export function rate({ flops }: CaseResult, { ms }: Measurement): number | null {
  return ms === null || flops === 0 ? null : flops / ms * 1000;
}

/** The share of the adapter's peak; null for a peer that computes elsewhere. */
export function shareOfPeak(
  { peak, peers }: Report,
  result: CaseResult,
  measurement: Measurement,
): number | null {
  const achieved = rate(result, measurement);
  const { onAdapter } = peers.find(({ name }) => name === measurement.peer)!;
  return achieved === null || !onAdapter ? null : achieved / peak.adapter;
}

/** How many times as long as the first peer a peer takes; null where one of them failed. */
export function timesAsLong({ measurements }: CaseResult, { ms }: Measurement): number | null {
  const first = measurements[0]!.ms;
  return ms === null || first === null ? null : ms / first;
}

/** Cases by what they are of, in the order in which they were measured. */
export function byGroup(report: Report): Map<CaseResult["group"], CaseResult[]> {
  return Map.groupBy(report.cases, ({ group }) => group);
}

/** "12.3 ms" */
export function formatMs(ms: number): string {
  return `${ms.toFixed(ms < 100 ? 1 : 0)} ms`;
}

/** "12.3" GFLOP/s */
export function formatRate(rate: number): string {
  return (rate / 1e9).toFixed(rate < 100e9 ? 1 : 0);
}

/** Lines that say where, when and with what was measured. */
export function headLines(report: Report): string[] {
  const { machine, threads, peak, peers, cases } = report;
  const version = (name: PeerName) =>
    cases.flatMap(({ measurements }) => measurements).find(({ peer, version }) =>
      peer === name && version !== null
    )?.version;
  const line = ({ name, title, onAdapter }: ReportedPeer) =>
    `${title} ${version(name) ?? "(not measured)"}${
      onAdapter ? "" : ` (processor, ${threads} threads)`
    }`;
  return [
    `${machine.date}, commit ${machine.commit ?? "unknown"}, Deno ${machine.deno}`,
    `Adapter: ${machine.adapter}; processor: ${machine.cores} cores of ${machine.processor}`,
    `Peers: ${peers.map(line).join(", ")}`,
    `Peak: ${formatRate(peak.adapter)} GFLOP/s by multiply-adds in registers on the adapter${
      peak.torch === null
        ? ""
        : `, ${formatRate(peak.torch)} GFLOP/s by PyTorch's matmul on the processor`
    }`,
  ];
}

import type { CaseResult, Measurement } from "../results.ts";
import {
  byGroup,
  formatMs,
  formatRate,
  headLines,
  rate,
  type Report,
  shareOfPeak,
  timesAsLong,
} from "./report.ts";

/** A report for docs/benchmarks.md: a table for each group of cases, a column for each peer. */
export function markdownReport(report: Report): string {
  const { peers } = report;
  const tables = [...byGroup(report)].map(([group, cases]) =>
    [
      cells([group, ...peers.map(({ title }) => title), "largest distance"]),
      cells(Array.from({ length: peers.length + 2 }, () => "---")),
      ...cases.map((result) =>
        cells([
          result.name,
          ...peers.map(({ name }) =>
            cell(report, result, result.measurements.find(({ peer }) => peer === name))
          ),
          largestDistance(result),
        ])
      ),
    ].join("\n")
  );
  const notes = headLines(report).map((line) => `- ${line}`).join("\n");
  return [notes, ...tables].join("\n\n");
}

function cells(texts: readonly string[]): string {
  return `| ${texts.join(" | ")} |`;
}

/** The time, and how it compares: to the peak and the first peer. */
function cell(report: Report, result: CaseResult, measurement: Measurement | undefined): string {
  if (measurement === undefined) return "";
  if (measurement.ms === null) return "failed";
  const [achieved, share, ratio] = [
    rate(result, measurement),
    shareOfPeak(report, result, measurement),
    timesAsLong(result, measurement),
  ];
  return [
    formatMs(measurement.ms),
    ...achieved === null ? [] : [`${formatRate(achieved)} GFLOP/s`],
    ...share === null ? [] : [`${(share * 100).toFixed(0)}%`],
    ...ratio === null || measurement === result.measurements[0] ? [] : [`${ratio.toFixed(2)}x`],
  ].join(", ");
}

function largestDistance({ measurements }: CaseResult): string {
  const distances = measurements.map(({ relativeL2 }) => relativeL2).filter((d) => d !== null);
  return distances.length === 0 ? "" : Math.max(...distances).toExponential(1);
}

import { table } from "../../src/cli/terminal/table.ts";
import type { CaseResult } from "../results.ts";
import {
  agrees,
  byGroup,
  formatMs,
  formatRate,
  headLines,
  rate,
  type Report,
  shareOfPeak,
  timesAsLong,
} from "./report.ts";

/** A report for the terminal: a table for each group of cases, a line for each peer. */
export function textReport(report: Report): string {
  const tables = [...byGroup(report)].map(([group, cases]) => {
    const head = [
      group,
      "",
      "median",
      "fastest",
      "GFLOP/s",
      "of peak",
      `time / ${report.peers[0]!.title}'s`,
      "distance",
    ];
    return table([head, ...cases.flatMap((result) => rows(report, result))], { left: 2 });
  });
  const failures = report.cases.flatMap(({ name, measurements }) =>
    measurements.filter(({ failure }) => failure !== null)
      .map(({ peer, failure }) => `${name}, ${peer}: ${failure}`)
  );
  return [...headLines(report), "", tables.join("\n\n"), ...failures].join("\n");
}

function rows(report: Report, result: CaseResult): string[][] {
  return result.measurements.map((measurement, i) => {
    const { peer, ms, fastestMs, relativeL2 } = measurement;
    const [achieved, share, ratio] = [
      rate(result, measurement),
      shareOfPeak(report, result, measurement),
      timesAsLong(result, measurement),
    ];
    return [
      i === 0 ? result.name : "",
      report.peers.find(({ name }) => name === peer)!.title,
      ms === null ? "failed" : formatMs(ms),
      fastestMs === null ? "" : formatMs(fastestMs),
      achieved === null ? "" : formatRate(achieved),
      share === null ? "" : `${(share * 100).toFixed(0)}%`,
      ratio === null || i === 0 ? "" : `${ratio.toFixed(2)}x`,
      relativeL2 === null
        ? ""
        : `${relativeL2.toExponential(1)}${agrees(measurement) ? "" : " DIFFERS"}`,
    ];
  });
}

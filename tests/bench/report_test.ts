import assert from "../assert.ts";
import { markdownReport } from "../../bench/report/markdown.ts";
import { agrees, type Report } from "../../bench/report/report.ts";
import { textReport } from "../../bench/report/text.ts";

const MEASUREMENT = { version: "1.0", fastestMs: 1, rounds: 3, relativeL2: null, failure: null };

const REPORT: Report = {
  machine: {
    date: "2026-01-02",
    commit: "abc1234",
    adapter: "an adapter",
    processor: "a processor",
    cores: 2,
    deno: "2.9.6",
  },
  threads: 2,
  peak: { adapter: 40e9, torch: null },
  tolerance: 1e-4,
  agree: false,
  peers: [
    { name: "mdm", title: "mdm", onAdapter: true },
    { name: "ort-web", title: "onnxruntime-web", onAdapter: true },
    { name: "ort-node", title: "onnxruntime-node", onAdapter: false },
  ],
  cases: [{
    name: "matmul 1",
    group: "linear",
    flops: 1e8,
    measurements: [
      { ...MEASUREMENT, peer: "mdm", ms: 10 },
      { ...MEASUREMENT, peer: "ort-web", ms: 100, relativeL2: 0.5 },
      { ...MEASUREMENT, peer: "ort-node", ms: null, failure: "its process died" },
    ],
  }],
};

Deno.test("bench: a report tells rates, shares, ratios and disagreement", () => {
  const lines = textReport(REPORT).split("\n").map((line) => line.trim().split(/ {2,}/));
  const find = (peer: string) => lines.find((cells) => cells.includes(peer));
  assert.deepEqual(find("mdm"), ["matmul 1", "mdm", "10.0 ms", "1.0 ms", "10.0", "25%"]);
  assert.deepEqual(
    find("onnxruntime-web"),
    ["onnxruntime-web", "100 ms", "1.0 ms", "1.0", "3%", "10.00x", "5.0e-1 DIFFERS"],
  );
  assert.deepEqual(find("onnxruntime-node")?.slice(0, 2), ["onnxruntime-node", "failed"]);
  assert(textReport(REPORT).endsWith("matmul 1, ort-node: its process died"));
});

Deno.test("bench: a report for the documentation has a row a case and a column a peer", () => {
  const rows = markdownReport(REPORT).split("\n").filter((line) => line.startsWith("|"));
  assert.equal(
    rows[2],
    "| matmul 1 | 10.0 ms, 10.0 GFLOP/s, 25% | 100 ms, 1.0 GFLOP/s, 3%, 10.00x | failed | 5.0e-1 |",
  );
});

Deno.test("bench: outputs that are no numbers agree with nothing", () => {
  const of = (relativeL2: number | null) =>
    agrees({ ...MEASUREMENT, peer: "tfjs", ms: 1, relativeL2 });
  assert.deepEqual([of(1e-6), of(null), of(1e-3), of(NaN)], [true, true, false, false]);
});

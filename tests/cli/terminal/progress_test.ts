import assert from "../../assert.ts";
import { formatLine, Progress, type ProgressOutput } from "../../../src/cli/terminal/progress.ts";

const HALF = { label: "Sampling", done: 10, total: 20, columns: 80 };

Deno.test("formatLine: bar, count, time a step and time left", () => {
  assert.equal(
    formatLine({ ...HALF, msPerStep: 31.4 }),
    "Sampling [===============               ] 10/20, 31 ms a step, 314 ms left",
  );
});

Deno.test("formatLine: no times before a step was timed", () => {
  assert.equal(
    formatLine({ ...HALF, done: 0 }),
    "Sampling [                              ] 0/20",
  );
});

Deno.test("formatLine: no time left at the end", () => {
  assert.equal(
    formatLine({ ...HALF, done: 20, msPerStep: 31.4 }),
    "Sampling [==============================] 20/20, 31 ms a step",
  );
});

Deno.test("formatLine: times from milliseconds to hours", () => {
  const left = (msPerStep: number) =>
    formatLine({ ...HALF, columns: 120, msPerStep }).split("10/20, ")[1];
  assert.equal(left(0.25), "0.3 ms a step, 2.5 ms left");
  assert.equal(left(9.96), "10 ms a step, 100 ms left");
  assert.equal(left(99.96), "100 ms a step, 1.0 s left");
  assert.equal(left(999.6), "1.0 s a step, 10 s left");
  assert.equal(left(5_970), "6.0 s a step, 1 min 0 s left");
  assert.equal(left(20_000), "20 s a step, 3 min 20 s left");
  assert.equal(left(359_990), "6 min 0 s a step, 1 h 0 min left");
  assert.equal(left(750_000), "12 min 30 s a step, 2 h 5 min left");
});

Deno.test("formatLine: always leaves the last column free", () => {
  for (let columns = 0; columns <= 120; columns++) {
    const line = formatLine({ ...HALF, columns, msPerStep: 31.4 });
    assert.ok(line.length <= Math.max(0, columns - 1), `${columns}: "${line}"`);
  }
});

Deno.test("formatLine: what is left out first on a narrow terminal", () => {
  const at = (columns: number) => formatLine({ ...HALF, columns, msPerStep: 31.4 });
  assert.equal(at(55), "Sampling [=====     ] 10/20, 31 ms a step, 314 ms left");
  assert.equal(at(40), "Sampling [====     ] 10/20, 314 ms left");
  assert.equal(at(26), "Sampling [====    ] 10/20");
  assert.equal(at(20), "Sampling 10/20");
  assert.equal(at(10), "Sampling ");
});

Deno.test("formatLine: a total of 0 and more than the total", () => {
  assert.equal(
    formatLine({ ...HALF, columns: 26, done: 0, total: 0 }),
    "Sampling [==========] 0/0",
  );
  assert.equal(
    formatLine({ ...HALF, columns: 26, done: 9, total: 3 }),
    "Sampling [==========] 9/3",
  );
});

class FakeTerminal implements ProgressOutput {
  text = "";
  constructor(readonly terminal = true) {}
  canRedraw = () => this.terminal;
  columns = () => 40;
  write(text: string) {
    this.text += text;
  }
}

Deno.test("Progress: draws over one line and ends it", () => {
  const output = new FakeTerminal();
  const progress = new Progress({ label: "Sampling", total: 2, output });
  progress.update(0);
  progress.update(1); // too soon after the first to be drawn
  progress.update(2);
  progress.end();
  progress.end();
  progress.update(2);
  const lines = output.text.replaceAll("\x1b[K", "<clear>").split("\r");
  assert.equal(lines.length, 3);
  assert.equal(lines[0], "");
  assert.match(lines[1]!, /^Sampling \[ +\] 0\/2<clear>$/);
  assert.match(lines[2]!, /^Sampling \[=+\] 2\/2, .* a step<clear>\n$/);
});

Deno.test("Progress: nothing on a pipe, when quiet, or without an update", () => {
  const pipe = new FakeTerminal(false);
  const quiet = new FakeTerminal();
  const unused = new FakeTerminal();
  const bars = [
    new Progress({ label: "Sampling", total: 1, output: pipe }),
    new Progress({ label: "Sampling", total: 1, output: quiet, quiet: true }),
  ];
  for (const bar of bars) bar.update(1);
  for (const bar of [...bars, new Progress({ label: "Sampling", total: 1, output: unused })]) {
    bar.end();
  }
  assert.deepEqual([pipe.text, quiet.text, unused.text], ["", "", ""]);
});

Deno.test("Progress: a line now and then where none can be drawn over", async () => {
  const output = new FakeTerminal(false);
  const progress = new Progress({
    label: "Sampling",
    total: 5,
    unit: "picture",
    output,
    lineMs: 20,
  });
  progress.update(0);
  progress.update(1);
  assert.equal(output.text, "", "not at once");
  await new Promise((resolve) => setTimeout(resolve, 30));
  progress.update(2);
  progress.update(3);
  progress.clear();
  progress.update(3);
  await new Promise((resolve) => setTimeout(resolve, 30));
  progress.update(4);
  await new Promise((resolve) => setTimeout(resolve, 30));
  progress.update(5);
  progress.end();
  assert.match(
    output.text,
    /^Sampling 2\/5, \d+ ms a picture, \d+ ms left\nSampling 4\/5, \d+ ms a picture, \d+ ms left\n$/,
  );
});

Deno.test("Progress: the pause between lines is some seconds", () => {
  const output = new FakeTerminal(false);
  const { now } = performance;
  let ms = 0;
  performance.now = () => ms;
  try {
    const progress = new Progress({ label: "S", total: 9, output });
    for (const [seconds, lines] of [[4.9, 0], [5, 1], [9, 1], [10, 2]] as const) {
      ms = seconds * 1000;
      progress.update(1);
      assert.equal(output.text.split("\n").length - 1, lines, `${seconds} s`);
    }
  } finally {
    performance.now = now;
  }
});

Deno.test("Progress: a closed stderr does not stop the work", () => {
  let writes = 0;
  const output = new FakeTerminal();
  output.write = () => {
    writes++;
    throw new Deno.errors.BrokenPipe();
  };
  const progress = new Progress({ label: "Sampling", total: 1, output });
  progress.update(1);
  progress.update(1);
  progress.end();
  assert.equal(writes, 1);
});

Deno.test("Progress: makes room for a line and is drawn again at once", () => {
  const output = new FakeTerminal();
  const progress = new Progress({ label: "Sampling", total: 3, output });
  progress.update(1);
  progress.clear();
  progress.clear();
  output.text += "a.png\n";
  progress.update(2);
  progress.end();
  const lines = output.text.replaceAll("\x1b[K", "<clear>").split("\r");
  assert.match(lines[1]!, /^Sampling \[=+ +\] 1\/3<clear>$/);
  assert.equal(lines[2], "<clear>a.png\n");
  assert.match(lines[3]!, /^Sampling \[=+ +\] 2\/3, .*<clear>\n$/);
  assert.equal(lines.length, 4);
});

Deno.test("Progress: the time before the first step is done counts for none", async () => {
  const output = new FakeTerminal();
  const progress = new Progress({ label: "S", total: 3, output });
  progress.update(0);
  await new Promise((resolve) => setTimeout(resolve, 120));
  progress.update(1);
  progress.clear();
  progress.update(2);
  assert.match(output.text, /2\/3, \d\.\d ms left/);
});

/**
 * A progress bar on stderr: one line that is drawn over itself on a terminal, nothing where stderr
 * is a file or a pipe. Drawing it is never the reason that work fails.
 */

const MIN_REDRAW_MS = 50;
const MAX_BAR_WIDTH = 30;
const MIN_BAR_WIDTH = 5;
const CLEAR_TO_END_OF_LINE = "\x1b[K";

/** What the bar is drawn on. */
export interface ProgressOutput {
  isTerminal(): boolean;
  /** The width in columns. */
  columns(): number;
  write(text: string): void;
}

export interface ProgressOptions {
  /** What is going on: "Sampling". */
  readonly label: string;
  /** The number of steps. */
  readonly total: number;
  /** What a step is; "step" unless given. */
  readonly unit?: string;
  /** Draws nothing. */
  readonly quiet?: boolean;
  readonly output?: ProgressOutput;
}

export class Progress {
  readonly #label: string;
  readonly #total: number;
  readonly #unit: string | undefined;
  readonly #output: ProgressOutput;
  #active: boolean;
  #drawn = false;
  #lastDraw = -Infinity;
  #first: { done: number; time: number } | undefined;

  constructor({ label, total, unit, quiet = false, output = stderr }: ProgressOptions) {
    this.#label = label;
    this.#total = total;
    this.#unit = unit;
    this.#output = output;
    this.#active = !quiet && output.isTerminal();
  }

  /** Says that `done` steps are done. The time a step is measured from the first done one on: it compiles. */
  update(done: number): void {
    if (!this.#active) return;
    const now = performance.now();
    if (done > 0) this.#first ??= { done, time: now };
    if (done < this.#total && now - this.#lastDraw < MIN_REDRAW_MS) return;
    this.#lastDraw = now;
    this.#draw(done, now);
  }

  /** Makes room for another line; the next update draws again. */
  clear(): void {
    if (this.#active && this.#drawn) this.#write(`\r${CLEAR_TO_END_OF_LINE}`);
    this.#drawn = false;
    this.#lastDraw = -Infinity;
  }

  /** Leaves the last state on the screen and goes to the next line. */
  end(): void {
    if (this.#active && this.#drawn) this.#write("\n");
    this.#active = false;
  }

  #draw(done: number, now: number): void {
    const first = this.#first;
    const measured = first !== undefined && done > first.done;
    const line = formatLine({
      label: this.#label,
      done,
      total: this.#total,
      columns: this.#output.columns(),
      ...this.#unit !== undefined && { unit: this.#unit },
      ...(measured ? { msPerStep: (now - first.time) / (done - first.done) } : {}),
    });
    this.#write(`\r${line}${CLEAR_TO_END_OF_LINE}`);
    this.#drawn = true;
  }

  /** A stderr that is gone stops the drawing, not the work. */
  #write(text: string): void {
    try {
      this.#output.write(text);
    } catch {
      this.#active = false;
    }
  }
}

/** What a line of progress shows. */
export interface ProgressLine {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  readonly unit?: string;
  /** The width of the terminal; the line leaves its last column free. */
  readonly columns: number;
  /** Left out as long as no step was timed. */
  readonly msPerStep?: number;
}

/** "Sampling [=====     ] 10/20, 31 ms a step, 0.3 s left", shortened to fit the width. */
export function formatLine(
  { label, done, total, unit = "step", columns, msPerStep }: ProgressLine,
): string {
  const width = Math.max(0, columns - 1);
  const count = `${done}/${total}`;
  const pace = msPerStep === undefined ? "" : `, ${formatTime(msPerStep)} a ${unit}`;
  const left = msPerStep === undefined || done >= total
    ? ""
    : `, ${formatTime(msPerStep * (total - done))} left`;

  for (const tail of [count + pace + left, count + left, count]) {
    const room = width - label.length - tail.length - " [] ".length;
    if (room >= MIN_BAR_WIDTH) {
      return `${label} [${bar(done / total, Math.min(room, MAX_BAR_WIDTH))}] ${tail}`;
    }
  }
  return `${label} ${count}`.slice(0, width);
}

function bar(fraction: number, width: number): string {
  const share = Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : 1;
  return "=".repeat(Math.floor(share * width)).padEnd(width);
}

/** "31 ms", "2.5 s", "42 s", "3 min 20 s", "2 h 5 min" */
function formatTime(ms: number): string {
  if (ms < 999.5) return `${ms < 9.95 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const stderr: ProgressOutput = {
  isTerminal: () => Deno.stderr.isTerminal(),
  columns() {
    try {
      // A terminal of a container may say that it has no width.
      return Deno.consoleSize().columns || 80;
    } catch {
      return 80;
    }
  },
  write(text) {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  },
};

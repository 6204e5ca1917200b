/**
 * Progress on stderr: a bar that is drawn over itself on a terminal, and elsewhere (a file, a pipe, a terminal that cannot draw
 * over a line) a line every few seconds. Showing it is never the reason that work fails.
 */

import { canRedraw, terminalColumns } from "./output.ts";

/** Between two lines, where they cannot be drawn over. */
const LINE_MS = 5000;
const MIN_REDRAW_MS = 50;
const MAX_BAR_WIDTH = 30;
const MIN_BAR_WIDTH = 5;
const CLEAR_TO_END_OF_LINE = "\x1b[K";

/** What progress is shown on. */
export interface ProgressOutput {
  /** Whether a line can be drawn over. */
  canRedraw(): boolean;
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
  /** Milliseconds between lines; unless given, a few seconds. */
  readonly lineMs?: number;
}

export class Progress {
  readonly #label: string;
  readonly #total: number;
  readonly #unit: string | undefined;
  readonly #output: ProgressOutput;
  readonly #redraws: boolean;
  readonly #lineMs: number;
  #active: boolean;
  #drawn = false;
  #lastDraw: number;
  #first: { done: number; time: number } | undefined;

  constructor(
    { label, total, unit, quiet = false, output = stderr, lineMs = LINE_MS }: ProgressOptions,
  ) {
    this.#label = label;
    this.#total = total;
    this.#unit = unit;
    this.#output = output;
    this.#lineMs = lineMs;
    this.#active = !quiet;
    this.#redraws = output.canRedraw();
    this.#lastDraw = this.#redraws ? -Infinity : performance.now();
  }

  /** Says that `done` steps are done. The time a step is measured from the first done one on: it compiles. */
  update(done: number): void {
    if (!this.#active) return;
    const now = performance.now();
    if (done > 0) this.#first ??= { done, time: now };
    const isDue = now - this.#lastDraw >= (this.#redraws ? MIN_REDRAW_MS : this.#lineMs);
    // The end is left on a bar; without one, what was made says that it has come.
    if (done >= this.#total ? !this.#redraws : !isDue) return;
    this.#lastDraw = now;
    this.#draw(done, now);
  }

  /** Makes room for another line; the next update draws again. */
  clear(): void {
    if (!this.#redraws) return;
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
    const state = {
      label: this.#label,
      done,
      total: this.#total,
      ...this.#unit !== undefined && { unit: this.#unit },
      ...(measured ? { msPerStep: (now - first.time) / (done - first.done) } : {}),
    };
    if (!this.#redraws) return this.#write(`${plainLine(state)}\n`);
    const line = formatLine({ ...state, columns: this.#output.columns() });
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

/** How far work is. */
export interface ProgressState {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  readonly unit?: string;
  /** Left out as long as no step was timed. */
  readonly msPerStep?: number;
}

/** What a line of progress on a terminal shows. */
export interface ProgressLine extends ProgressState {
  /** The width of the terminal; the line leaves its last column free. */
  readonly columns: number;
}

/** "Sampling [=====     ] 10/20, 31 ms a step, 0.3 s left", shortened to fit the width. */
export function formatLine({ columns, ...state }: ProgressLine): string {
  const { label, done, total } = state;
  const width = Math.max(0, columns - 1);
  const { count, pace, left } = partsOf(state);
  for (const tail of [count + pace + left, count + left, count]) {
    const room = width - label.length - tail.length - " [] ".length;
    if (room >= MIN_BAR_WIDTH) {
      return `${label} [${bar(done / total, Math.min(room, MAX_BAR_WIDTH))}] ${tail}`;
    }
  }
  return `${label} ${count}`.slice(0, width);
}

/** "Sampling 10/20, 31 ms a step, 0.3 s left" */
function plainLine(state: ProgressState): string {
  const { count, pace, left } = partsOf(state);
  return `${state.label} ${count}${pace}${left}`;
}

function partsOf({ done, total, unit = "step", msPerStep }: ProgressState) {
  const isTimed = msPerStep !== undefined;
  return {
    count: `${done}/${total}`,
    pace: isTimed ? `, ${formatTime(msPerStep)} a ${unit}` : "",
    left: isTimed && done < total ? `, ${formatTime(msPerStep * (total - done))} left` : "",
  };
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
  canRedraw,
  columns: terminalColumns,
  write(text) {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  },
};

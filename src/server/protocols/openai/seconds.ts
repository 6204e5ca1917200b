/** How long videos last: a model makes so many frames, and whole numbers of frames a second are shown. */
import { FASTEST } from "../../../media/animation.ts";

/** Seconds to the hundredth, as they are told and compared. */
export function secondsOf(frames: number, fps: number): number {
  return hundredths(frames / fps);
}

/** With how many frames a second so many frames last so long; null: with none. */
export function fpsFor(seconds: number, frames: number): number | null {
  const fps = within(Math.round(frames / seconds));
  return lasts(frames, fps, seconds) ? fps : null;
}

export function lasts(frames: number, fps: number, seconds: number): boolean {
  return secondsOf(frames, fps) === hundredths(seconds);
}

/** How long they can last that comes nearest: what is shorter first. */
export function nearestSeconds(seconds: number, frames: number): number[] {
  const fps = frames / seconds;
  const possible = [Math.ceil(fps), Math.floor(fps)].map(within);
  return [...new Set(possible)].map((fps) => secondsOf(frames, fps));
}

function within(fps: number): number {
  return Math.min(FASTEST, Math.max(1, fps));
}

function hundredths(seconds: number): number {
  return Math.round(100 * seconds) / 100;
}

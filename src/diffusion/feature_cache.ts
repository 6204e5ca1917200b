/**
 * A cache of features, after DeepCache (Ma et al., CVPR 2024, arXiv 2312.00858): at which steps the UNets inside the outermost one are
 * run; at the others, the features that they gave last are used again.
 */

/**
 * - every: they are run at every so many steps.
 * - error: they are run again before what was missed since adds up to this share of their features.
 */
export type FeatureCache = { readonly every: number } | { readonly error: number };

/** Decides step by step. A decision depends on nothing but the request and what was measured two steps before, or earlier. */
export class FeatureCacheSchedule {
  #step = 0;
  #last: { readonly step: number; readonly guided: boolean } | null = null;
  /** Steps from the run before to a run, by the run's step. */
  readonly #gaps = new Map<number, number>();
  /** The relative change of the features in a step, as it was measured last. */
  #rate: number | null = null;

  /** @param guidances Of each step; 1: it is not guided. */
  constructor(
    private readonly cache: FeatureCache,
    private readonly guidances: readonly number[],
  ) {}

  /** Whether they are run at the next step. Is asked once a step. */
  next(): boolean {
    const step = this.#step++;
    const guided = this.guidances[step] !== 1;
    const last = this.#last;
    // Rows that were not run left nothing to use again.
    const runs = last === null || guided && !last.guided || this.#isDue(step - last.step);
    if (!runs) return false;
    if (last !== null) this.#gaps.set(step, step - last.step);
    this.#last = { step, guided };
    return true;
  }

  /** Reports the relative change of the features from the run before to the run at a step. */
  measured(step: number, relativeChange: number): void {
    const gap = this.#gaps.get(step);
    if (gap !== undefined) this.#rate = relativeChange / gap;
  }

  /** @param gap Steps since they were run. */
  #isDue(gap: number): boolean {
    if ("every" in this.cache) return gap >= this.cache.every;
    // A rate holds for a while only: a gap may be one step longer than the one before.
    const longest = (this.#gaps.get(this.#last!.step) ?? 1) + 1;
    if (this.#rate === null || gap >= longest) return true;
    // Without a run now, this step misses what has changed in `gap` steps, as the ones before it missed what had in 1, 2, ...
    const missed = this.#rate * gap * (gap + 1) / 2;
    return missed >= this.cache.error;
  }
}

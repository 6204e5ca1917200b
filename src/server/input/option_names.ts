/** What is meant by a field that is not known. */
import * as parameters from "../../pipeline/parameter_names.ts";

/** Other names of fields that are no generation parameters. */
const FIELD_NAMES = [
  ["prompts", "texts"],
  ["webhook", "webhook_url", "callback", "callback_url"],
  ["webhook_events_filter", "events", "webhook_events"],
];

/** The name among `names` that was most likely meant: another one for the same thing, or one with few letters off. */
export function meantName(typed: string, names: readonly string[]): string | undefined {
  return parameters.meantName(typed, names, FIELD_NAMES);
}

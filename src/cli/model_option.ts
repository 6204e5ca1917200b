import { fileURLToPath } from "node:url";

/** The model that comes with mdm, where a command is given none. */
export const DEFAULT_MODEL = fileURLToPath(new URL("../../weights/shapes32", import.meta.url));

/** The option that several commands share. */
export const MODEL_OPTION = {
  long: "model",
  short: "m",
  value: "FOLDER",
  description: "The model's folder; without it the small model that comes with mdm",
} as const;

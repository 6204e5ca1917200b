/** Images that are read: what mdm wrote says how it was made. */

import { readFile } from "../files/read_file.ts";
import { readText } from "../media/png_text.ts";
import { parseRecipe, type Recipe, RECIPE_KEYWORD } from "../pipeline/recipe.ts";

/** More than any image that mdm makes. */
const IMAGE = { largest: 256 << 20, what: "an image" } as const;

/**
 * Reads the file of an image.
 *
 * @throws {MdmError} When it is not there or too large.
 */
export function readImageFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return readFile(path, IMAGE);
}

/**
 * How the image in a PNG was made; null where it does not say.
 *
 * @param path The file's, for messages.
 * @throws {MdmError} When it is damaged.
 */
export function recipeIn(png: Uint8Array, path: string): Recipe | null {
  const text = readText(png)[RECIPE_KEYWORD];
  return text === undefined ? null : parseRecipe(text, path);
}

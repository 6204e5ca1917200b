import { isFile } from "../files/read_file.ts";

/** How the names of such files end. */
const FILE = /\.(?:json|model|vocab)$/;

/** Names of a tokenizer's file, in the order in which they are preferred. */
const NAMES = ["tokenizer.json", "spiece.model", "tokenizer.model"];

/**
 * Finds the file that a tokenizer is read from.
 *
 * @param path the file itself, or its folder
 * @returns null where there is none
 */
export async function findTokenizer(path: string): Promise<string | null> {
  if (FILE.test(path)) return path;
  for (const name of NAMES) {
    if (await isFile(`${path}/${name}`)) return `${path}/${name}`;
  }
  return null;
}

/** Whether a file is a model of sentencepiece, by its name. */
export function isSentencePiece(file: string): boolean {
  return file.endsWith(".model");
}

/** Names of the files in which a job that is given back keeps the saved states of its images. */

/** Their MIME type. */
export const STATE_TYPE = "application/octet-stream";

/** The name of an image's state. */
export function stateName(image: number): string {
  return `checkpoint-${image}.safetensors`;
}

/** The image of a state's name; null: it is none. */
export function imageOfState(name: string): number | null {
  const [, image] = /^checkpoint-(\d+)\.safetensors$/.exec(name) ?? [];
  return image === undefined ? null : Number(image);
}

/**
 * Sines and cosines of a time (`create_temporal_embedding` in the reference's unet.py), rounded to 32 bits where PyTorch rounds.
 * On the host, because a shader's sine is not exact at large angles.
 *
 * @param time Any number; a step of the schedule counts from 0.
 * @param temporalDim Width of the UNet's time embedding; the result has a quarter of it.
 */
export function timestepEmbedding(time: number, temporalDim: number): Float32Array<ArrayBuffer> {
  const half = temporalDim / 8;
  const slope = Math.fround(-Math.log(10000) / half);
  const embedding = new Float32Array(half * 2);
  for (let i = 0; i < half; i++) {
    const frequency = Math.fround(Math.exp(Math.fround(i * slope)));
    const angle = Math.fround(Math.fround(time) * frequency);
    embedding[i] = Math.sin(angle);
    embedding[half + i] = Math.cos(angle);
  }
  return embedding;
}

/**
 * What a micro-condition's embedding is made of (`forward_micro_conditioning` in the reference's unet.py): a scale is bounded by what
 * the model was trained with, anything else is stretched to the range of times.
 */
export function microTime(name: string, value: number, trained: number): number {
  if (name !== "scale") return Math.fround(value * 1000);
  return Math.fround(Math.min(Math.fround(value / trained), 1) * trained);
}

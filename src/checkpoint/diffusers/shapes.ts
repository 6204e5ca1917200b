/** Weights that are 1x1 convolutions in the reference and linear layers in diffusers. */
const POINTWISE = /_blocks\.\d+\.attn\.\d+\.(?:qkv|proj_out|ffn\.[13])\.weight$/;

/** Weights that are 1x1 convolutions in both. */
const SHORTCUT = /_blocks\.\d+\.resnets\.\d+\.conv3\.weight$/;

/** The shape that a tensor has in the reference, which stores every 1x1 convolution as one. */
export function referenceShape(name: string, shape: readonly number[]): readonly number[] {
  const isMatrix = shape.length === 2 && (POINTWISE.test(name) || SHORTCUT.test(name));
  return isMatrix ? [...shape, 1, 1] : shape;
}

/** The shape that a tensor of the reference has in diffusers. */
export function diffusersShape(name: string, shape: readonly number[]): readonly number[] {
  return POINTWISE.test(name) ? shape.slice(0, 2) : shape;
}

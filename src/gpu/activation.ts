/** Activations by the numbers that `shaders/activation.wgsl` gives them. */
export const ACTIVATIONS = { none: 0, silu: 1, gelu: 2, geluTanh: 3, relu: 4 } as const;

/** `gelu` is the exact one (PyTorch's default), `geluTanh` T5's "gelu_new". */
export type Activation = keyof typeof ACTIVATIONS;

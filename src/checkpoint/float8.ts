/** A format of numbers in 8 bits: how many are the exponent's, and what stands for no number. */
interface Float8 {
  readonly exponentBits: number;
  readonly bias: number;
  /**
   * "ieee": the largest exponent is infinity and NaN; "fn": all bits but the sign's are NaN;
   * "fnuz": minus zero is NaN; "fnu": no sign and no zero, all bits are NaN.
   */
  readonly special: "ieee" | "fn" | "fnuz" | "fnu";
}

/** As torch and the OCP specifications (OFP8, MX) name them. */
const FORMATS = {
  E5M2: { exponentBits: 5, bias: 15, special: "ieee" },
  E5M2FNUZ: { exponentBits: 5, bias: 16, special: "fnuz" },
  E4M3FN: { exponentBits: 4, bias: 7, special: "fn" },
  E4M3FNUZ: { exponentBits: 4, bias: 8, special: "fnuz" },
  E8M0FNU: { exponentBits: 8, bias: 127, special: "fnu" },
} as const satisfies Record<string, Float8>;

/** The value of each byte; all are exact in float32. */
export function float8Values(name: keyof typeof FORMATS): Float32Array {
  return Float32Array.from({ length: 256 }, (_, byte) => valueOf(byte, FORMATS[name]));
}

function valueOf(byte: number, { exponentBits, bias, special }: Float8): number {
  if (special === "fnu") return byte === 0xff ? NaN : 2 ** (byte - bias);
  const mantissaBits = 7 - exponentBits;
  const magnitude = byte & 0x7f;
  const exponent = magnitude >> mantissaBits;
  const fraction = (magnitude & (2 ** mantissaBits - 1)) / 2 ** mantissaBits;
  const sign = byte < 0x80 ? 1 : -1;
  if (special === "fnuz" && byte === 0x80) return NaN;
  if (special === "fn" && magnitude === 0x7f) return NaN;
  if (special === "ieee" && exponent === 2 ** exponentBits - 1) {
    return fraction === 0 ? sign * Infinity : NaN;
  }
  return sign *
    (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}

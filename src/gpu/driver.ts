/**
 * Tells Mesa what it should know before the first adapter is asked for: it reads the environment once. What a person has set stays, and
 * without the permission everything works, only slower or with a complaint.
 */
export function prepareDriver(): void {
  // Mesa complains on stderr when it is missing, which a computation has no use for.
  setUnlessSet("XDG_RUNTIME_DIR", () => "/tmp");
  // llvmpipe computes with vectors of 256 bits however wide the processor's are: twice as wide is up to twice as fast.
  setUnlessSet("LP_NATIVE_VECTOR_WIDTH", () => hasWideVectors() ? "512" : null);
}

function setUnlessSet(name: string, value: () => string | null): void {
  try {
    if (Deno.env.get(name)) return;
    const given = value();
    if (given !== null) Deno.env.set(name, given);
  } catch { /* Not permitted. */ }
}

/** Whether the processor has AVX-512 as far as llvmpipe uses it. */
function hasWideVectors(): boolean {
  const flags = /^flags\s*:(.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1]?.split(" ") ??
    [];
  return ["avx512f", "avx512bw", "avx512dq", "avx512vl"].every((flag) => flags.includes(flag));
}

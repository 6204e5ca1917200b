/** What Deno tells OpenTelemetry of requests by itself, where `OTEL_DENO` is set. */
import { withoutQueries } from "./without_queries.ts";

/** A span as Deno has it; what spans of requests are given goes through these. */
interface Span {
  setAttribute(key: string, value: unknown): Span;
  setStatus(status: { readonly code: number; readonly message?: string }): Span;
}

let isKept = false;

/**
 * Keeps queries, which hold signatures and keys, out of the spans of all requests that come in or go out. Deno has no setting for it, and
 * gives a span its address before any handler can see it, to which a handler can only add; so it is done where spans are given anything.
 */
export function keepQueriesOutOfSpans(): void {
  if (isKept) return;
  const prototype = spanPrototype();
  if (prototype === null) return;
  isKept = true;
  const { setAttribute, setStatus } = prototype;
  prototype.setAttribute = function (key, value) {
    if (key === "url.query") return this;
    return setAttribute.call(this, key, typeof value === "string" ? withoutQueries(value) : value);
  };
  prototype.setStatus = function ({ message, ...status }) {
    const told = message === undefined ? status : { ...status, message: withoutQueries(message) };
    return setStatus.call(this, told);
  };
}

/** What all spans have in common; null: nobody is told of any. */
function spanPrototype(): Span | null {
  try {
    // It is never ended, so that nobody hears of it.
    const span = Deno.telemetry.tracerProvider.getTracer("mdm").startSpan("");
    return span.isRecording() ? Object.getPrototypeOf(span) : null;
  } catch {
    return null;
  }
}

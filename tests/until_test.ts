import assert from "./assert.ts";
import { until } from "../src/until.ts";

const never = new Promise<never>(() => {});

Deno.test("a promise gives what it gives, as long as the signal has not come", async () => {
  const { signal } = new AbortController();
  assert.equal(await until(signal, Promise.resolve(7)), 7);
  await assert.rejects(until(signal, Promise.reject(new Error("broken"))), /broken/);
});

Deno.test("a signal ends the wait with its reason, or with the one that is given", async () => {
  const abort = new AbortController();
  const waits = [until(abort.signal, never), until(abort.signal, never, new Error("given"))];
  abort.abort(new Error("gone"));
  await assert.rejects(waits[0]!, /gone/);
  await assert.rejects(waits[1]!, /given/);
  await assert.rejects(until(abort.signal, Promise.resolve(7)), /gone/);
});

Deno.test("a signal that lives long keeps nothing of what was waited for", async () => {
  const { signal } = new AbortController();
  let listening = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...about: Parameters<typeof addEventListener>) => {
    listening++;
    addEventListener.apply(signal, about);
  };
  signal.removeEventListener = (...about: Parameters<typeof removeEventListener>) => {
    listening--;
    removeEventListener.apply(signal, about);
  };
  await until(signal, Promise.resolve());
  await until(signal, Promise.reject(new Error())).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(listening, 0);
});

import assert from "../assert.ts";
import { mock } from "node:test";
import { Outage } from "../../src/jobs/outage.ts";
import { Unavailable } from "../../src/jobs/unavailable.ts";

/** Something that is there, or away for a reason. */
class Thing {
  readonly name = "the thing";
  away: string | null = null;

  check(): Promise<void> {
    return this.away === null ? Promise.resolve() : Promise.reject(new Unavailable(this.away));
  }
}

const PATIENCE_MS = 20;

/** Watches a thing; gives what was told of it. */
function watching(thing: Thing) {
  const told: string[] = [];
  const warn = (line: string) => void told.push(line);
  return { told, outage: new Outage(thing, { warn, patienceMs: PATIENCE_MS, lookMs: 1 }) };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const never = new Promise<never>(() => {});

Deno.test("an outage is told of once when it begins and once when it ends, however much fails meanwhile", async () => {
  const thing = new Thing();
  const { outage, told } = watching(thing);
  assert.equal(await outage.ask(() => Promise.resolve(7)), 7);
  assert.equal(outage.reason, null);
  assert.ok(outage.isThere(1e9));
  thing.away = "It is away.";
  for (let k = 0; k < 3; k++) await assert.rejects(outage.ask(() => thing.check()), Unavailable);
  assert.equal(outage.reason, "It is away.");
  assert.ok(!outage.isThere());
  // What still works does not mean that all does.
  assert.equal(await outage.ask(() => Promise.resolve(7)), 7);
  assert.equal(outage.reason, "It is away.");
  thing.away = null;
  await until(() => outage.reason === null);
  assert.deepEqual(told, ["It is away.", "The thing can be used again, after 0 seconds."]);
  assert.ok(outage.isThere() && !outage.isThere(60_000));
});

Deno.test("what comes and goes is one outage", async () => {
  const thing = new Thing();
  const { outage, told } = watching(thing);
  thing.away = "It is away.";
  await outage.look();
  let looks = 0;
  const { mock: watched } = mock.method(thing, "check", () => {
    // Every second look goes well, until the tenth.
    if (++looks % 2 === 0 || looks > 10) return Promise.resolve();
    return Promise.reject(new Unavailable("It is away again."));
  });
  await until(() => outage.reason === null);
  watched.restore();
  assert.ok(looks > 10);
  assert.equal(told.length, 2);
});

Deno.test("a call that takes too long is an outage, and what comes late is given to who can use it", async () => {
  const thing = new Thing();
  const { outage, told } = watching(thing);
  const coming = Promise.withResolvers<number>();
  const late = Promise.withResolvers<number>();
  await assert.rejects(
    outage.ask(() => coming.promise, { late: late.resolve }),
    new Unavailable("Cannot use the thing: no answer within 0 seconds."),
  );
  coming.resolve(7);
  assert.equal(await late.promise, 7);
  await assert.rejects(outage.ask(() => never, { patienceMs: 1 }), Unavailable);
  await until(() => outage.reason === null);
  assert.equal(told.length, 2);
});

Deno.test("an error that is no outage is thrown as it is", async () => {
  const { outage, told } = watching(new Thing());
  await assert.rejects(outage.ask(() => Promise.reject(new TypeError("a defect"))), TypeError);
  assert.equal(outage.reason, null);
  assert.deepEqual(told, []);
});

Deno.test("one look is taken for all who ask at once, and none where it is known", async () => {
  const thing = new Thing();
  const { outage } = watching(thing);
  const { mock: checks } = mock.method(thing, "check");
  assert.deepEqual(await Promise.all([outage.look(), outage.look()]), [null, null]);
  assert.equal(checks.callCount(), 1);
  thing.away = "It is away.";
  assert.equal(await outage.look(), "It is away.");
  checks.mockImplementation(() => never);
  assert.equal(await outage.look(), "It is away.");
  outage[Symbol.dispose]();
});

Deno.test("what has to wait for the end of an outage is done then, once, and again where it is away again", async () => {
  const thing = new Thing();
  const { outage } = watching(thing);
  const done: string[] = [];
  outage.afterwards(() => Promise.resolve(done.push("at once")));
  assert.deepEqual(done, ["at once"]);
  thing.away = "It is away.";
  await outage.look();
  let tries = 0;
  outage.afterwards(() => {
    done.push("later");
    return ++tries === 1 ? outage.ask(() => Promise.reject(new Unavailable("Again."))) : never;
  });
  assert.deepEqual(done, ["at once"]);
  thing.away = null;
  await until(() => tries === 2);
  assert.deepEqual(done, ["at once", "later", "later"]);
  await until(() => outage.reason === null);
});

Deno.test("after its end nothing is looked for or told", async () => {
  const thing = new Thing();
  const { outage, told } = watching(thing);
  thing.away = "It is away.";
  await outage.look();
  outage[Symbol.dispose]();
  thing.away = null;
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(told, ["It is away."]);
});

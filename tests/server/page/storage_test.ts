/// <reference lib="dom" />
/** The page whatever the browser keeps for it, or does not. */
import assert from "../../assert.ts";
import type { Page } from "playwright-core";
import { ask, PROMPT, says, sees, visit } from "./visit.ts";

/** A picture is made, and listed. */
async function makesPicture({ page, server }: Parameters<Parameters<typeof visit>[0]>[0]) {
  await ask({ page, server });
  server.step(4);
  await server.succeed();
  await sees(page, 32);
  await page.locator(".past .thumb img").first().waitFor();
  await says(page.locator(".past .text").first(), PROMPT);
}

const ODD: Readonly<Record<string, string>> = {
  "no JSON": "{",
  "nothing": "",
  "null": "null",
  "a number": "7",
  "a string": '"x"',
  "true": "true",
  "an empty list": "[]",
  "an object": `{"a": 1, "length": 5, "__proto__": {"b": 1}}`,
  "a list of all kinds": `[null, 1, "x", [], {}, {"id": 7, "prompt": "a"}, {"id": "a"},
    {"id": "../x", "prompt": "a"}, {"id": "", "prompt": ""}, {"id": "a", "prompt": {}}]`,
  "fields of all kinds": `{"prompt": null, "seed": {}, "n": [3], "steps": "many", "sampler": "none",
    "levels": "yes", "size": -5, "format": 7, "guidance": true, "other": "x"}`,
  "deep": "[".repeat(5000) + "]".repeat(5000),
};

Deno.test("whatever was kept, the page works and keeps its own again", () =>
  visit(async (visit) => {
    const { page } = visit;
    for (const [what, text] of Object.entries(ODD)) {
      await page.evaluate((text) => {
        localStorage.setItem("mdm.history", text);
        localStorage.setItem("mdm.settings", text);
      }, text);
      await page.reload();
      await says(page.locator("#model"), "stand-in");
      assert.equal(await page.locator(".past").count(), 0, what);
      for (const name of ["seed", "guidance", "steps", "size"]) {
        await page.locator(`#${name}`).evaluate((field) => (field as HTMLInputElement).value = "");
      }
      await makesPicture(visit);
      await page.reload();
      await page.locator(".past .thumb img").waitFor();
      assert.equal(await page.locator("#prompt").inputValue(), PROMPT, what);
    }
  }));

Deno.test("what is odd in the history is left out, and a job is listed once", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    await makesPicture(visit);
    const { id } = server.last;
    await page.evaluate((id) => {
      const pasts = [{ id, prompt: "a" }, null, { id: "no/id", prompt: "a" }, { id, prompt: "a" }];
      localStorage.setItem("mdm.history", JSON.stringify([...pasts, { id: "gone", prompt: "a" }]));
    }, id);
    await page.reload();
    await page.locator(".past .thumb img").waitFor();
    assert.equal(await page.locator(".past").count(), 1);
    assert.deepEqual(await kept(page), [{ id, prompt: "a" }]);
  }));

async function kept(page: Page): Promise<unknown> {
  return JSON.parse(await page.evaluate(() => localStorage.getItem("mdm.history") ?? "null"));
}

/** What browsers do whose storage is full, or that have none for this page. */
const WITHOUT: Readonly<Record<string, string>> = {
  "is full": `Storage.prototype.setItem = () => {
    throw new DOMException("full", "QuotaExceededError");
  };`,
  "is off": `for (const name of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(globalThis, name, {
      get() { throw new DOMException("off", "SecurityError"); },
    });
  }`,
  "is missing": `for (const name of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(globalThis, name, { value: null });
  }`,
};

for (const [what, before] of Object.entries(WITHOUT)) {
  Deno.test(`where storage ${what} the page works as long as it is open, also with a token`, () =>
    visit(async (visit) => {
      const { page } = visit;
      await page.getByRole("dialog").waitFor();
      await page.keyboard.type("secret");
      await page.keyboard.press("Enter");
      await says(page.locator("#model"), "stand-in");
      await page.locator("summary").click();
      await page.locator("#dice").click();
      await makesPicture(visit);
      await makesPicture(visit);
      assert.equal(await page.locator(".past").count(), 2);
      await page.getByRole("button", { name: /^Delete/ }).first().click();
      await page.locator(".past").nth(1).waitFor({ state: "detached" });
      assert.equal(await page.getByRole("dialog").isVisible(), false);
    }, { before, token: "secret" }));
}

Deno.test("jobs that the server has no longer are not asked for one by one, nor in vain", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    for (const _ of [1, 2, 3]) await makesPicture(visit);
    const asked: string[] = [];
    page.on("request", (request) => asked.push(new URL(request.url()).search));
    server.forget(server.last.id);
    await page.reload();
    await page.locator(".past").nth(2).waitFor({ state: "detached" });
    await page.locator(".past .thumb img").nth(1).waitFor();
    assert.ok(asked.some((search) => search.split(",").length === 3));

    server.forget(server.last.id);
    await page.getByRole("button", { name: /^Delete/ }).first().click();
    await page.locator(".past").nth(1).waitFor({ state: "detached" });
    server.forget(server.last.id);
    await page.locator(".past .show").click();
    await page.locator(".past").waitFor({ state: "detached" });
    assert.equal(await page.locator("#history").isVisible(), false);
  }));

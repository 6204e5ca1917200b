/// <reference lib="dom" />
import assert from "../../assert.ts";
import type { Locator } from "playwright-core";
import { PageStandIn, refuse } from "./stand_in.ts";
import { ask, focused, PROMPT, says, sees, visit } from "./visit.ts";

Deno.test("a typed prompt forms a picture from the smallest resolution to the largest", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    await ask(visit);
    assert.equal(server.posted[0]?.prompt, PROMPT);
    assert.equal(server.posted[0]?.preview, true);
    await says(page.locator("#progress-text"), "Waiting: next in line");
    server.wait(2);
    await says(page.locator("#progress-text"), "Waiting: 2 jobs before this one");

    server.step(2, 9000);
    await says(page.locator("#progress-text"), "Step 2 of 20 · 9 s left");
    assert.equal(await page.locator("#bar").getAttribute("value"), "2");
    await server.preview(2);
    assert.deepEqual(await sees(page, 8), { crisp: true });
    server.step(12);
    await server.preview(1);
    assert.deepEqual(await sees(page, 16), { crisp: true });
    await server.succeed();
    assert.deepEqual(await sees(page, 32), { crisp: false });
    await says(page.locator("#progress-text"), "Done in 2 s");
    await says(page.locator("#announcement"), "Done");
  }));

Deno.test("what should be known of a job is said with its pictures, until another one is shown", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    await ask(visit);
    server.step(2);
    server.warn("The prompt was cut.");
    await says(page.locator("#job-warnings"), "The prompt was cut.");
    await server.succeed();
    await says(page.locator("#progress-text"), "Done in 2 s");
    assert.equal(await page.locator("#job-warnings").textContent(), "The prompt was cut.");
    await ask(visit);
    assert.equal(await page.locator("#job-warnings").textContent(), "");
  }));

Deno.test("the smallest preview is shown first, though a larger one is there", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    await ask(visit);
    server.step(1);
    await server.preview(1);
    await server.preview(2);
    assert.deepEqual(await sees(page, 8), { crisp: true });
    await server.preview(1);
    server.step(9);
    await server.preview(2);
    assert.deepEqual(await sees(page, 8), { crisp: true });
    server.step(10);
    assert.deepEqual(await sees(page, 16), { crisp: true });
  }));

Deno.test("a download is named after prompt, seed and resolution", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    await page.locator("summary").click();
    await page.locator("#levels").check();
    await page.locator("#seed").fill("18446744073709551615");
    await ask(visit, "A Red circle, twice!");
    assert.equal(server.posted[0]?.seed, "18446744073709551615");
    server.step(1);
    await server.succeed();
    for (
      const [text, name] of [
        ["Download", "a-red-circle-twice-18446744073709551615.png"],
        ["8 × 8", "a-red-circle-twice-18446744073709551615-8x8.png"],
      ] as const
    ) {
      const download = page.waitForEvent("download");
      await page.getByRole("link", { name: text }).click();
      assert.equal((await download).suggestedFilename(), name);
      const bytes = await Deno.readFile(await (await download).path());
      assert.deepEqual([...bytes.subarray(1, 4)], [..."PNG"].map((c) => c.charCodeAt(0)));
    }
  }));

Deno.test("a video plays, and is asked for by its own settings", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    await says(page.locator("#model"), "stand-in · 32 × 32 · 2 frames");
    await page.locator("summary").click();
    assert.equal(await page.locator("#size").isVisible(), false);
    await page.locator("#fps").fill("12");
    await ask(visit);
    assert.equal(server.posted[0]?.format, "mp4");
    assert.equal(server.posted[0]?.fps, 12);
    server.step(1);
    await server.succeed();
    await page.locator(".tile.done video").waitFor();
    const playing = page.locator(".tile video").evaluate(async (video) => {
      if (!(video instanceof HTMLVideoElement)) throw new Error("It is no video.");
      await video.play();
      return [video.paused, video.videoWidth, video.loop];
    });
    assert.deepEqual(await playing, [false, 32, true]);
    const download = await page.getByRole("link", { name: "Download" }).getAttribute("download");
    assert.equal(download, "a-red-circle-on-a-blue-background-1234567.mp4");
  }, { makes: "videos" }));

Deno.test("several pictures are shown side by side, each with its seed", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    await page.locator("summary").click();
    await page.locator("#n").fill("3");
    await ask(visit);
    server.step(1);
    await server.preview(2, 1);
    await server.succeed();
    await page.locator(".tile.done").nth(2).waitFor();
    assert.deepEqual(await page.locator(".seed-used").allTextContents(), [
      "Use seed 1234567",
      "Use seed 1234568",
      "Use seed 1234569",
    ]);
    await page.locator(".seed-used").nth(1).click();
    assert.equal(await page.locator("#seed").inputValue(), "1234568");
    const [first, second] = await Promise.all(
      [0, 1].map((k) => page.locator(".tile").nth(k).boundingBox()),
    );
    assert.equal(first?.y, second?.y);
    await page.getByRole("button", { name: "Larger" }).first().click();
    assert.ok((await page.locator(".tile").first().boundingBox())!.width > first!.width * 1.5);
  }));

Deno.test("a job is canceled by its button, and the next one by Escape", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    for (
      const cancel of [
        () => page.getByRole("button", { name: "Cancel" }).click(),
        () => page.keyboard.press("Escape"),
      ]
    ) {
      await ask(visit);
      server.step(1);
      await server.preview(2);
      await sees(page, 8);
      await cancel();
      await says(page.locator("#progress-text"), "Canceled");
      assert.equal(server.last.state, "canceled");
      assert.equal(await focused(page), "prompt");
    }
  }));

Deno.test("all is reached by the keyboard alone", () =>
  visit(async ({ page, server }) => {
    assert.equal(await focused(page), "prompt");
    const tabTo = async (reached: () => Promise<boolean>) => {
      for (let k = 0; k < 40; k++) {
        if (await reached()) return;
        await page.keyboard.press("Tab");
      }
      assert.fail("The key Tab does not reach it.");
    };
    const isFocused = (locator: Locator) => () =>
      locator.evaluate((element) => element === document.activeElement);
    await tabTo(isFocused(page.locator("summary")));
    await page.keyboard.press("Enter");
    await tabTo(isFocused(page.locator("#dice")));
    await page.keyboard.press("Enter");
    const seed = await page.locator("#seed").inputValue();
    assert.match(seed, /^\d{1,10}$/);
    await tabTo(isFocused(page.locator("#steps")));
    await page.keyboard.type("50");
    await page.locator("#prompt").focus();
    await page.keyboard.type("a star");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("at night");
    const followed = page.waitForResponse((response) => response.url().endsWith("/events"));
    await page.keyboard.press("Enter");
    await followed;
    assert.deepEqual(server.posted, [{
      prompt: "a star\nat night",
      preview: true,
      seed,
      n: 1,
      steps: 50,
      sampler: "dpm++",
      format: "png",
      levels: false,
    }]);
    server.step(1);
    await server.succeed();
    await tabTo(isFocused(page.getByRole("button", { name: "Again with another seed" })));
    const outline = await page.locator("#again").evaluate((element) =>
      getComputedStyle(element).outlineStyle
    );
    assert.equal(outline, "solid");
    const again = page.waitForResponse((response) => response.url().endsWith("/events"));
    await page.keyboard.press("Enter");
    await again;
    const { prompt: _, seed: __, ...settings } = server.posted[0]!;
    assert.deepEqual(server.posted[1], { ...settings, prompts: ["a star\nat night"] });
    await server.succeed();
    await tabTo(isFocused(page.locator(".past .show").first()));
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator(".past").nth(1).waitFor({ state: "detached" });
    assert.equal(await page.locator(".past").count(), 1);
  }));

Deno.test("on a phone nothing is wider than the screen, and all can be touched", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    await page.locator("summary").click();
    await page.locator("#n").fill("4");
    await page.locator("#levels").check();
    await ask(visit, "x".repeat(200));
    server.step(1);
    await server.succeed();
    await page.locator(".tile.done").nth(3).waitFor();
    for (const width of [375, 320]) {
      await page.setViewportSize({ width, height: 700 });
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
    }
    const small = await page.locator("button, a, input, select, textarea, summary, .check")
      .evaluateAll((elements) =>
        elements.filter((element) =>
          element.checkVisibility() && element.getAttribute("type") !== "checkbox"
        )
          .filter((element) => {
            const { width, height } = element.getBoundingClientRect();
            return width < 44 || height < 44;
          }).map((element) => element.outerHTML)
      );
    assert.deepEqual(small, []);
    const cut = await page.locator("button, .button").evaluateAll((elements) =>
      elements.filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
        .map((element) => element.outerHTML)
    );
    assert.deepEqual(cut, []);
  }, { screen: { viewport: { width: 375, height: 700 }, hasTouch: true, isMobile: true } }));

Deno.test("what is wrong is said beside its field", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    await page.getByRole("button", { name: "Make" }).click();
    await says(page.locator("#prompt-error"), "Type what the picture should show.");
    assert.equal(await page.locator("#prompt").getAttribute("aria-invalid"), "true");
    assert.deepEqual(server.posted, []);

    await page.locator("#prompt").fill(PROMPT);
    await page.locator("summary").click();
    await page.locator("#steps").fill("1001");
    await page.locator("#steps").press("Enter");
    await says(page.locator("#steps-error"), "1000");
    assert.deepEqual(server.posted, []);
    await page.locator("#steps").fill("");

    const message = "Give a multiple of 8.";
    server.refusal = refuse(422, "invalid", message, [{ path: ["size"], message }]);
    await page.locator("#prompt").press("Enter");
    await says(page.locator("#size-error"), message);
    assert.equal(await focused(page), "size");
    assert.equal(await page.locator("#prompt-error").textContent(), "");

    const full = "The queue is full (8 jobs): try again in 3 seconds.";
    server.refusal = refuse(429, "queue_full", full);
    await page.locator("#prompt").press("Enter");
    await says(page.locator("#form-error"), full);
    assert.equal(await page.locator("#size-error").textContent(), "");

    await ask(visit);
    assert.equal(await page.locator("#form-error").textContent(), "");
    server.step(1);
    server.fail("The GPU was lost too often.");
    await says(page.locator("#job-error"), "The GPU was lost too often.");
    await says(page.locator("#progress-text"), "Failed");
  }, { refusals: [422, 429] }));

Deno.test("the token is asked for, once more when it is wrong, and kept for the tab", () =>
  visit(async ({ page, server }) => {
    const dialog = page.getByRole("dialog", { name: "This server asks for a token" });
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await says(page.locator("#form-error"), "The server asks for a token.");
    await page.locator("#prompt").fill(PROMPT);
    await page.locator("#prompt").press("Enter");
    await dialog.waitFor();
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await says(page.locator("#token-error"), "That token is not the right one.");
    await page.keyboard.type("secret");
    await page.keyboard.press("Enter");
    await says(page.locator("#model"), "stand-in · 32 × 32");
    await says(page.locator("#progress-text"), "Waiting");
    assert.equal(await page.locator("#form-error").textContent(), "");
    server.step(20);
    await server.succeed();
    await sees(page, 32);
    await page.reload();
    await says(page.locator("#model"), "stand-in");
    assert.equal(await dialog.isVisible(), false);
  }, { token: "secret", refusals: [401] }));

Deno.test("history and settings are there after a reload, without what the server forgot", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    await page.locator("summary").click();
    await page.locator("#guidance").fill("2.5");
    await page.locator("#sampler").selectOption("ddim");
    const ids: string[] = [];
    for (const prompt of ["a star", "a ring", "a cross"]) {
      await ask(visit, prompt);
      ids.push(server.last.id);
      server.step(1);
      await server.succeed();
      await page.locator(".past .thumb img").nth(ids.length - 1).waitFor();
    }
    const [star, ring] = ids;
    server.forget(ring!);
    await page.reload();
    await page.locator(".past .thumb img").nth(1).waitFor();
    await page.locator(".past").nth(2).waitFor({ state: "detached" });
    assert.deepEqual(await page.locator(".past .text").allTextContents(), ["a cross", "a star"]);
    assert.equal(await page.locator("#prompt").inputValue(), "a cross");
    assert.equal(await page.locator("#guidance").inputValue(), "2.5");
    assert.equal(await page.locator("#sampler").inputValue(), "ddim");

    await page.locator(".past .show").nth(1).click();
    await sees(page, 32);
    await page.getByRole("button", { name: "Use these settings" }).click();
    assert.equal(await page.locator("#prompt").inputValue(), "a star");
    assert.equal(await page.locator("#seed").inputValue(), "1234567");

    await page.getByRole("button", { name: "Delete “a star”" }).click();
    await page.locator(".past").nth(1).waitFor({ state: "detached" });
    assert.equal(server.has(star!), false);
    assert.equal(await page.locator(".tile").count(), 0);
    await page.reload();
    await page.locator(".past .thumb img").waitFor();
    assert.deepEqual(await page.locator(".past .text").allTextContents(), ["a cross"]);
  }));

Deno.test("a job goes on over a lost connection and a reload", () =>
  visit(async (visit) => {
    const { page, server } = visit;
    await ask(visit);
    server.step(5);
    await says(page.locator("#progress-text"), "Step 5 of 20");
    server.cut();
    server.step(6);
    await says(page.locator("#progress-text"), "Step 6 of 20");
    await page.reload();
    await says(page.locator("#progress-text"), "Step 6 of 20");
    await server.succeed();
    await sees(page, 32);
  }));

Deno.test("why the model is not ready is said until it is", () =>
  visit(async ({ page, server }) => {
    server.reason = "the weights are being read";
    await page.reload();
    await says(page.locator("#readiness"), "Not ready yet: the weights are being read");
    server.reason = null;
    await page.locator("#readiness:empty").waitFor({ state: "attached" });
  }));

Deno.test("the page comes with a strict policy, and is not sent again unchanged", async () => {
  await using server = new PageStandIn();
  const response = await fetch(server.url);
  const html = await response.text();
  assert.match(response.headers.get("Content-Type")!, /^text\/html/);
  const policy = response.headers.get("Content-Security-Policy")!;
  assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /);
  assert.doesNotMatch(policy, /unsafe/);
  const paths = [...html.matchAll(/(?:href|src)="(page\/[^"]+)"/g)].map(([, path]) => path!);
  assert.ok(paths.length > 5);
  for (const path of ["", ...paths]) {
    const first = await fetch(`${server.url}${path}`);
    await first.body?.cancel();
    assert.equal(first.status, 200, path);
    const headers = { "If-None-Match": first.headers.get("ETag")! };
    const second = await fetch(`${server.url}${path}`, { headers });
    assert.equal(await second.text(), "");
    assert.equal(second.status, 304, path);
  }
});

Deno.test("what the model can do is told", async () => {
  await using server = new PageStandIn();
  const { levels, samplers, defaults, limits, form, ...model } =
    await (await fetch(`${server.url}model`)).json();
  assert.deepEqual(model, {
    name: "stand-in",
    makes: "pictures",
    frames: 1,
    formats: ["png", "jpeg", "webp"],
  });
  assert.deepEqual(levels.map(({ width }: { width: number }) => width), [32, 16, 8]);
  assert.equal(samplers.find(({ name }: { name: string }) => name === "dpm++").defaultSteps, 20);
  assert.deepEqual(defaults, { sampler: "dpm++", guidance: 4, steps: null, negative: "" });
  assert.deepEqual(limits, {
    pictures: 4,
    steps: 1000,
    promptLength: 2000,
    pixels: 1 << 20,
  });
  const field = (name: string) => form.find((field: { name: string }) => field.name === name);
  assert.partialDeepStrictEqual(field("n"), { label: "Pictures", kind: "number", min: 1, max: 4 });
  assert.partialDeepStrictEqual(field("size"), { label: "Size in pixels", max: 1024, default: 32 });
  assert.partialDeepStrictEqual(field("seed"), { kind: "digits", otherwise: "by chance" });
  assert.equal(field("fps"), undefined);
});

Deno.test("the form has the settings that a model of videos takes", async () => {
  await using server = new PageStandIn({ makes: "videos" });
  const { form }: { form: { name: string; label: string }[] } =
    await (await fetch(`${server.url}model`)).json();
  const labels = new Map(form.map(({ name, label }) => [name, label]));
  assert.equal(labels.get("n"), "Videos");
  assert.equal(labels.get("fps"), "Frames a second");
  assert.equal(labels.has("size"), false);
});

import assert from "../assert.ts";
import { MdmError, UsageError } from "../../src/errors.ts";
import type { JobFile } from "../../src/jobs/job.ts";
import { type Moderator, openModerator } from "../../src/jobs/moderation.ts";
import { aJob } from "./queue/a_job.ts";

const JOB = aJob({ state: "running" });

const FILE: JobFile = {
  name: "3.png",
  picture: 3,
  level: 0,
  seed: "10",
  type: "image/png",
  width: 2,
  height: 2,
  frames: 1,
  bytes: 3,
};

async function withHook(
  answer: (question: unknown, request: Request) => Response,
  run: (moderator: Moderator) => Promise<void>,
): Promise<void> {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => answer(await request.json(), request),
  );
  await run(openModerator(`http://127.0.0.1:${server.addr.port}/moderate?key=1`));
}

Deno.test("the hook is asked before a job and after each picture", async () => {
  const asked: unknown[] = [];
  await withHook((question, request) => {
    asked.push([request.method, new URL(request.url).search, question]);
    return Response.json({ allow: true });
  }, async (moderator) => {
    assert.deepEqual(await moderator.before(JOB), { allow: true });
    assert.deepEqual(await moderator.after(JOB, FILE, Uint8Array.of(1, 2, 255)), { allow: true });
  });
  assert.deepEqual(asked, [
    ["POST", "?key=1", { stage: "before", job: "job", request: JOB.request }],
    ["POST", "?key=1", {
      stage: "after",
      job: "job",
      picture: 3,
      type: "image/png",
      image: "AQL/",
    }],
  ]);
});

Deno.test("the hook refuses, and says why", async () => {
  const reasons: [unknown, string][] = [
    [{ allow: false, reason: "No stars." }, "No stars."],
    [{ allow: false }, "No reason was given."],
    [{ allow: false, reason: "x".repeat(1000) }, "x".repeat(500)],
  ];
  for (const [answer, reason] of reasons) {
    await withHook(() => Response.json(answer), async (moderator) => {
      assert.deepEqual(await moderator.before(JOB), { allow: false, reason });
      assert.deepEqual(await moderator.after(JOB, FILE, new Uint8Array()), {
        allow: false,
        reason,
      });
    });
  }
});

Deno.test("a hook that gives no verdict allows nothing", async () => {
  const fails = (why: RegExp) => (error: Error) => {
    assert(error instanceof MdmError && !(error instanceof UsageError), String(error));
    assert.match(
      error.message,
      /^The moderation hook gave no answer, and nothing is made without one: .+\. Try again later\.$/,
    );
    assert.match(error.message, why);
    return true;
  };
  const answers: [() => Response, RegExp][] = [
    [() => Response.json({ allow: true }, { status: 500 }), /answered 500/],
    [() => Response.json({ allow: true }, { status: 201 }), /answered 201/],
    [() => Response.redirect("http://127.0.0.1/", 302), /answered 302/],
    [() => new Response("allow"), /no JSON/],
    [() => new Response(""), /no JSON/],
    [() => Response.json({}), /no "allow"/],
    [() => Response.json(null), /no "allow"/],
    [() => Response.json({ allow: "false" }), /no "allow"/],
    [() => Response.json({ allow: true, reason: "x".repeat(1 << 20) }), /no JSON/],
  ];
  for (const [answer, why] of answers) {
    await withHook(answer, async (moderator) => {
      await assert.rejects(moderator.before(JOB), fails(why));
      await assert.rejects(moderator.after(JOB, FILE, new Uint8Array()), fails(why));
    });
  }
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assert.rejects(openModerator(`http://127.0.0.1:${port}`).before(JOB), fails(/refused/));
});

Deno.test("without a hook all is allowed", async () => {
  const moderator = openModerator(undefined);
  assert.deepEqual(await moderator.before(JOB), { allow: true });
  assert.deepEqual(await moderator.after(JOB, FILE, new Uint8Array()), { allow: true });
});

Deno.test("the hook may be anywhere, but has to be an address", () => {
  for (const url of ["http://localhost:1/", "http://[::1]/", "https://10.0.0.1/m"]) {
    openModerator(url);
  }
  for (const url of ["", "moderate", "ftp://host/", "http://user:password@host/"]) {
    assert.throws(() => openModerator(url), UsageError, url);
  }
});

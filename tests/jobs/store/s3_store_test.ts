import assert from "../../assert.ts";
import { MdmError, UsageError } from "../../../src/errors.ts";
import { credentialsFrom, openS3Store } from "../../../src/jobs/store/s3_store.ts";
import type { ResultStore } from "../../../src/jobs/store/store.ts";
import { Unavailable } from "../../../src/jobs/unavailable.ts";
import { KEYS, type S3Server, startS3Server } from "./s3_server.ts";
import { signatureV4 } from "./signature_v4.ts";

async function withStore(
  run: (store: ResultStore, server: S3Server) => Promise<void>,
  token?: string,
): Promise<void> {
  await using server = startS3Server(token);
  const credentials = { ...KEYS, ...token !== undefined && { sessionToken: token } };
  await using store = openS3Store(server.address("bucket/some/prefix"), credentials);
  await run(store, server);
}

async function read(store: ResultStore, job: string, name: string) {
  const file = await store.get(job, name);
  return file && { bytes: file.bytes, text: await new Response(file.body).text() };
}

const text = (content: string) => new TextEncoder().encode(content);

Deno.test("the stand-in computes the signature of the documentation's example", () => {
  const request = new Request(
    "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256" +
      "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
      "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host",
    { headers: { host: "examplebucket.s3.amazonaws.com" } },
  );
  const signature = signatureV4(request, {
    secret: KEYS.secretAccessKey,
    time: "20130524T000000Z",
    scope: ["20130524", "us-east-1", "s3", "aws4_request"],
    signedHeaders: "host",
    hash: "UNSIGNED-PAYLOAD",
  });
  assert.equal(signature, "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
});

Deno.test("a file is read as it was written, and written over", () =>
  withStore(async (store, { files }) => {
    await store.put("job", "0.png", text("first"), "image/png");
    await store.put("job", "0.png", text("other"), "image/png");
    await store.put("job", "empty", text(""), "text/plain");
    assert.deepEqual(await read(store, "job", "0.png"), { bytes: 5, text: "other" });
    assert.deepEqual(await read(store, "job", "empty"), { bytes: 0, text: "" });
    assert.deepEqual([...files].map(([path, { type }]) => [path, type]), [
      ["/bucket/some/prefix/job/0.png", "image/png"],
      ["/bucket/some/prefix/job/empty", "text/plain"],
    ]);
  }));

Deno.test("of a part no more is asked for than the part", () =>
  withStore(async (store, { log }) => {
    await store.put("job", "0.png", text("0123456789"), "image/png");
    const part = async (first: number, last: number) => {
      const file = await store.get("job", "0.png", { first, last });
      return file && [await new Response(file.body).text(), file.bytes];
    };
    assert.deepEqual(await part(0, 0), ["0", 10]);
    assert.deepEqual(await part(3, 5), ["345", 10]);
    assert.deepEqual(await part(0, 9), ["0123456789", 10]);
    assert.equal(await part(5, 10), null, "it ends within the part");
    assert.equal(await part(10, 11), null, "it ends before the part");
    assert.equal(await store.get("job", "1.png", { first: 0, last: 0 }), null);
    assert.equal(log.filter((line) => line.startsWith("GET")).length, 6, "none is asked twice");
  }));

Deno.test("a store that sends all of a file instead of a part is said", async () => {
  await using server = startS3Server(undefined, { ignoresRanges: true });
  await using store = openS3Store(server.address("bucket"), KEYS);
  await store.put("job", "0.png", text("0123456789"), "image/png");
  await assert.rejects(store.get("job", "0.png", { first: 1, last: 2 }), (error: Error) => {
    assert(error instanceof MdmError);
    assert.match(
      error.message,
      /^Cannot read job\/0\.png at .*: it does not say which part it sends\.$/,
    );
    return true;
  });
});

Deno.test("what is missing is null", () =>
  withStore(async (store) => assert.equal(await store.get("job", "0.png"), null)));

Deno.test("removing takes all files of a job, and only those", () =>
  withStore(async (store, { files }) => {
    for (let i = 0; i < 5; i++) await store.put("one", `${i}.png`, text("x"), "image/png");
    await store.put("one-more", "0.png", text("x"), "image/png");
    await store.remove("one");
    await store.remove("one");
    assert.deepEqual([...files.keys()], ["/bucket/some/prefix/one-more/0.png"]);
  }));

Deno.test("a link needs no key of ours, for an hour, and for this file only", () =>
  withStore(async (store) => {
    await store.put("job", "0.png", text("picture"), "image/png");
    const link = new URL((await store.link("job", "0.png"))!);
    assert.equal(link.searchParams.get("X-Amz-Expires"), "3600");
    const answer = await fetch(link);
    assert.equal(answer.headers.get("content-type"), "image/png");
    assert.equal(await answer.text(), "picture");
    link.pathname = link.pathname.replace("0.png", "1.png");
    const other = await fetch(link);
    assert.equal(other.status, 403);
    await other.body?.cancel();
  }));

Deno.test("temporary keys bring their token, in links as well", () =>
  withStore(async (store) => {
    await store.put("job", "0.png", text("picture"), "image/png");
    assert.equal((await read(store, "job", "0.png"))?.text, "picture");
    assert.equal(await (await fetch((await store.link("job", "0.png"))!)).text(), "picture");
  }, "FwoG/token+=="));

Deno.test("a store that is out of order for a moment is asked again", () =>
  withStore(async (store, { failures, log }) => {
    failures.push(503, 500, 429);
    await store.put("job", "0.png", text("x"), "image/png");
    failures.push(502);
    assert.equal((await read(store, "job", "0.png"))?.text, "x");
    assert.deepEqual(log, [
      ...Array(4).fill("PUT /bucket/some/prefix/job/0.png"),
      ...Array(2).fill("GET /bucket/some/prefix/job/0.png"),
    ]);
  }));

Deno.test("a store that stays out of order is given up", () =>
  withStore(async (store, { failures, log }) => {
    failures.push(...Array(5).fill(503));
    await assert.rejects(store.get("job", "0.png"), (error: Error) => {
      assert(error instanceof Unavailable);
      assert.match(
        error.message,
        /^Cannot read job\/0\.png at http:.*: it answers 503 \(SlowDown\)\. Check/,
      );
      return true;
    });
    assert.equal(log.length, 5);
  }));

Deno.test("a store that does not answer is away, within seconds", () =>
  withStore(async (store, server) => {
    using _silence = server.stall();
    const why = "no answer within 3\\.5 seconds\\. Check the address\\.$";
    const calls: [Promise<unknown>, string][] = [
      [store.get("job", "0.png"), "read job/0\\.png"],
      [store.has("job", "0.png"), "find job/0\\.png"],
      [store.remove("job"), "list the files of job job"],
      [store.check(false), "use the results"],
    ];
    await Promise.all(calls.map(([call, what]) =>
      assert.rejects(call, (error: Error) => {
        assert(error instanceof Unavailable);
        assert.match(error.message, new RegExp(`^Cannot ${what} at http:.*bucket: ${why}`));
        return true;
      })
    ));
  }));

Deno.test("a store that cannot be reached is away", async () => {
  const server = startS3Server();
  await using store = openS3Store(server.address("bucket"), KEYS);
  await server[Symbol.asyncDispose]();
  await assert.rejects(store.check(true), (error: Error) => {
    assert(error instanceof Unavailable);
    assert.match(error.message, /^Cannot use the results at http:.*: it cannot be reached\. Check/);
    return true;
  });
});

Deno.test("what is refused of one file alone is no outage, what is of all is one", () =>
  withStore(async (store, { failures }) => {
    const refusal = async (status: number) => {
      failures.push(...Array(status >= 500 || status === 429 ? 5 : 1).fill(status));
      const put = store.put("job", "0.png", text("x"), "image/png");
      return await put.then(() => assert.fail(), (error) => error instanceof Unavailable);
    };
    for (const status of [400, 405, 409, 411, 413]) assert.equal(await refusal(status), false);
    for (const status of [401, 403, 404, 429, 500]) assert.equal(await refusal(status), true);
  }));

Deno.test("it says what it is called, whether a file is there, and that it can be used", () =>
  withStore(async (store, { files, failures, log }) => {
    assert.match(store.name, /^the results at http:\/\/127\.0\.0\.1:\d+\/bucket$/);
    const check = "/bucket/some/prefix/mdm-check";
    await store.check(false);
    assert.deepEqual(log.splice(0), [`GET ${check}`]);
    // It is written once, and again where a file could not be.
    for (let k = 0; k < 2; k++) await store.check(true);
    assert.deepEqual(log.splice(0), [`PUT ${check}`, `GET ${check}`]);
    failures.push(403, 403);
    await assert.rejects(store.put("job", "0.png", text("x"), "image/png"), Unavailable);
    await assert.rejects(store.check(true), Unavailable);
    await store.check(true);
    await store.check(true);
    assert.deepEqual(log.splice(1), [...Array(2).fill(`PUT ${check}`), `GET ${check}`]);
    assert.deepEqual([...files.keys()], [check]);
    assert.equal(await store.has("job", "0.png"), false);
    await store.put("job", "0.png", text("x"), "image/png");
    assert.equal(await store.has("job", "0.png"), true);
    failures.push(403);
    assert.equal(await store.has("job", "0.png"), true);
  }));

Deno.test("a store that refuses is not asked again", () =>
  withStore(async (_, server) => {
    const wrong = { ...KEYS, secretAccessKey: "wrong" };
    await using store = openS3Store(server.address("bucket"), wrong);
    const refused = (code: string) => (error: Error) => {
      assert(error instanceof MdmError);
      assert.match(error.message, new RegExp(`it answers \\d+ \\(${code}\\)\\. Check the address`));
      return true;
    };
    await assert.rejects(
      store.put("job", "0.png", text("x"), "image/png"),
      refused("SignatureDoesNotMatch"),
    );
    await assert.rejects(store.remove("job"), refused("SignatureDoesNotMatch"));
    await using other = openS3Store(server.address("none-such"), KEYS);
    await assert.rejects(other.get("job", "0.png"), refused("NoSuchBucket"));
    assert.equal(server.log.length, 3);
    assert.equal(server.files.size, 0);
  }));

Deno.test("a store that is not there is told of without the query of the request", async () => {
  const server = startS3Server();
  const address = server.address("bucket/prefix");
  await server[Symbol.asyncDispose]();
  await using store = openS3Store(address, KEYS);
  await assert.rejects(store.remove("job"), (error: Error) => {
    assert.match(
      error.message,
      /^Cannot list the files of job job at http:.*: it cannot be reached\. /,
    );
    assert.doesNotMatch(error.message, /list-type|\?/);
    return true;
  });
});

Deno.test("paths are refused as ids and names", () =>
  withStore(async (store, { log }) => {
    await assert.rejects(store.put("..", "a", text("x"), "image/png"), UsageError);
    await assert.rejects(store.get("a", "../b"), UsageError);
    await assert.rejects(store.link("a", "b?c"), UsageError);
    await assert.rejects(store.remove("a/b"), UsageError);
    assert.deepEqual(log, []);
  }));

Deno.test("buckets of AWS itself are found by their names", async () => {
  const link = async (address: string, region?: string) => {
    await using store = openS3Store(address, { ...KEYS, ...region !== undefined && { region } });
    return (await store.link("job", "0.png"))!.split("?")[0];
  };
  assert.equal(
    await link("s3://pictures"),
    "https://pictures.s3.us-east-1.amazonaws.com/job/0.png",
  );
  assert.equal(
    await link("s3://pictures/a//b/", "eu-west-1"),
    "https://pictures.s3.eu-west-1.amazonaws.com/a/b/job/0.png",
  );
  assert.equal(
    await link("s3://my.pictures?region=eu-west-2", "eu-west-1"),
    "https://s3.eu-west-2.amazonaws.com/my.pictures/job/0.png",
  );
  assert.equal(
    await link("s3://pictures/p?endpoint=https://s3.example.com/base/&region=auto"),
    "https://s3.example.com/base/pictures/p/job/0.png",
  );
});

Deno.test("addresses that cannot be understood are refused", () => {
  const addresses = [
    "s3://",
    "s3://Bucket",
    "s3://b",
    "s3://key:secret@bucket",
    "s3://bucket:9000",
    "s3://bucket/a b",
    "s3://bucket?endpoint=ftp://host",
    "s3://bucket?endpoint=host",
    "s3://bucket?endpoint=https://key:secret@host",
    "s3://bucket?region=a.b/",
    "s3://bucket?acl=public",
  ];
  for (const address of addresses) {
    assert.throws(() => openS3Store(address, KEYS), (error: Error) => {
      assert(error instanceof UsageError, address);
      assert(!error.message.includes("secret"), address);
      return true;
    });
  }
});

Deno.test("keys come from the variables that every tool knows", () => {
  const all = {
    AWS_ACCESS_KEY_ID: "id",
    AWS_SECRET_ACCESS_KEY: "secret",
    AWS_SESSION_TOKEN: "token",
    AWS_REGION: "eu-west-1",
  };
  assert.deepEqual(credentialsFrom(new Map(Object.entries(all))), {
    accessKeyId: "id",
    secretAccessKey: "secret",
    sessionToken: "token",
    region: "eu-west-1",
  });
  assert.throws(
    () => credentialsFrom(new Map([["AWS_ACCESS_KEY_ID", "id"]])),
    /set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/,
  );
});

import assert from "../../assert.ts";
import { MdmError, UsageError } from "../../../src/errors.ts";
import { checkSecret, loadSecret } from "../../../src/jobs/webhooks/secret.ts";

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a secret is made once, and only its owner may read it", () =>
  inFolder(async (folder) => {
    const secret = await loadSecret(`${folder}/secret`);
    assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.equal(await loadSecret(`${folder}/secret`), secret);
    assert.equal(await Deno.readTextFile(`${folder}/secret`), `${secret}\n`);
    assert.equal((await Deno.stat(`${folder}/secret`)).mode! & 0o777, 0o600);
    await Deno.chmod(`${folder}/secret`, 0o644);
    assert.equal(await loadSecret(`${folder}/secret`), secret);
    assert.equal((await Deno.stat(`${folder}/secret`)).mode! & 0o777, 0o600);
    assert.notEqual(await loadSecret(`${folder}/other`), secret);
  }));

Deno.test("all that begin at once get the same secret", () =>
  inFolder(async (folder) => {
    const secrets = await Promise.all(
      Array.from({ length: 20 }, () => loadSecret(`${folder}/secret`)),
    );
    assert.equal(new Set(secrets).size, 1);
    assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["secret"]);
  }));

Deno.test("a file with something else in it is left as it is", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "something else");
    await assert.rejects(loadSecret(`${folder}/file`), {
      name: "MdmError",
      message:
        `The file "${folder}/file" has no secret of webhooks in it: remove it, and a new one is made.`,
    });
    assert.equal(await Deno.readTextFile(`${folder}/file`), "something else");
    await assert.rejects(loadSecret(`${folder}/none/secret`), MdmError);
    await Deno.truncate(`${folder}/file`, 2 ** 42);
    await assert.rejects(loadSecret(`${folder}/file`), MdmError);
    // A link that leads nowhere has no secret, and is in the way of one.
    await Deno.symlink("nowhere", `${folder}/link`);
    await assert.rejects(loadSecret(`${folder}/link`), MdmError);
    assert.equal(await Deno.readLink(`${folder}/link`), "nowhere");
  }));

Deno.test("a secret that was configured is 24 to 64 bytes in base64", () => {
  const of = (bytes: number) => `whsec_${new Uint8Array(bytes).toBase64()}`;
  for (const secret of [of(24), of(32), of(64)]) assert.equal(checkSecret(secret), secret);
  for (const secret of ["", "whsec_", "secret", of(23), of(65), of(32).slice(6), "whsec_!!!!"]) {
    assert.throws(() => checkSecret(secret), UsageError, secret);
  }
});

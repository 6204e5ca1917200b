import assert from "../assert.ts";
import { fingerprint } from "../../src/checkpoint/fingerprint.ts";

Deno.test("fingerprint() is the SHA-256 of the files in order", async () => {
  const folder = await Deno.makeTempDir();
  const [a, bc, abc] = [`${folder}/a`, `${folder}/bc`, `${folder}/abc`];
  try {
    await Deno.writeTextFile(a, "a");
    await Deno.writeTextFile(bc, "bc");
    await Deno.writeTextFile(abc, "abc");
    // The example of FIPS 180-2, appendix B.1.
    const expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert.equal(await fingerprint([abc]), expected);
    assert.equal(await fingerprint([a, bc]), expected);
    assert.notEqual(await fingerprint([bc, a]), expected);
    await assert.rejects(fingerprint([a, `${folder}/none`]), {
      name: "MdmError",
      message: `Cannot load "${folder}/none": there is no such file. Check the path.`,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

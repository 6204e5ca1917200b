import assert from "node:assert/strict";
import { Image } from "imagescript";
import { MdmError, UsageError } from "../../src/errors.ts";
import { encodeImage, formatOf } from "../../src/media/image.ts";
import type { Picture } from "../../src/media/picture.ts";
import { readText } from "../../src/media/png_text.ts";

/** Every red and green with a changing blue. */
function gradient(): Picture {
  const data = new Uint8Array(256 * 256 * 4);
  for (let i = 0; i < 65536; i++) data.set([i & 255, i >> 8, (i * 7) & 255, 255], 4 * i);
  return { width: 256, height: 256, data };
}

/** Red on the left, blue on the right. */
function halves(): Picture {
  const data = new Uint8Array(48 * 32 * 4);
  for (let i = 0; i < 48 * 32; i++) {
    data.set(i % 48 < 24 ? [200, 30, 60, 255] : [20, 40, 220, 255], 4 * i);
  }
  return { width: 48, height: 32, data };
}

async function assertHalves(png: Uint8Array): Promise<void> {
  const { width, height, bitmap } = await Image.decode(png) as Image;
  assert.deepEqual([width, height], [48, 32]);
  // Beside the edge chroma bleeds; in the middle of each half 8 levels are not seen.
  for (const [x, colour] of [[8, [200, 30, 60]], [40, [20, 40, 220]]] as const) {
    const at = (16 * 48 + x) * 4;
    colour.forEach((c, i) =>
      assert.ok(Math.abs(bitmap[at + i]! - c) <= 8, `${x} ${bitmap[at + i]}`)
    );
  }
}

Deno.test("formatOf() goes by the extension", () => {
  assert.equal(formatOf("a.png"), "png");
  assert.equal(formatOf("out.d/a.b.JPG"), "jpeg");
  assert.equal(formatOf("a.Jpeg"), "jpeg");
  assert.equal(formatOf("a.webp"), "webp");
  for (const path of ["a", "a.gif", "png", "a.png/b", "a.", "a.constructor"]) {
    assert.throws(
      () => formatOf(path),
      new UsageError(
        `Cannot tell the format of "${path}": end its name in .png, .jpg, .jpeg or .webp.`,
      ),
    );
  }
});

Deno.test("encodeImage() writes a PNG with the same pixels, the text and nothing that changes", async () => {
  const text = { prompt: "un círculo rojo, 红色 🔴", settings: '{"seed":7}' };
  const png = await encodeImage(gradient(), "png", text);
  assert.deepEqual(readText(png), text);
  const { width, height, bitmap } = await Image.decode(png) as Image;
  assert.deepEqual([width, height], [256, 256]);
  assert.ok(gradient().data.every((byte, i) => byte === bitmap[i]));
  assert.deepEqual(await encodeImage(gradient(), "png", text), png);
  assert.deepEqual(readText(await encodeImage(gradient(), "png")), {});
});

Deno.test("encodeImage() writes JPEG", async () => {
  const jpeg = await encodeImage(halves(), "jpeg", { prompt: "not stored" });
  assert.deepEqual([...jpeg.subarray(0, 3)], [0xff, 0xd8, 0xff]);
  await assertHalves(jpeg);
  assert.deepEqual(await encodeImage(halves(), "jpeg"), jpeg);
});

Deno.test("encodeImage() writes WebP", async () => {
  const webp = await encodeImage(halves(), "webp", { prompt: "not stored" });
  assert.equal(new TextDecoder().decode(webp.subarray(8, 12)), "WEBP");
  // Deno decodes WebP but shows no pixels; as a PNG they can be looked at.
  const bitmap = await createImageBitmap(new Blob([webp]));
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(bitmap);
  await assertHalves(new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer()));
  assert.deepEqual(await encodeImage(halves(), "webp"), webp);
});

Deno.test("encodeImage() says that WebP's encoder does not load", async () => {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-read", "--deny-ffi", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const source = new URL("../../src/media/image.ts", import.meta.url);
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`
    import { encodeImage } from ${JSON.stringify(source)};
    const picture = { width: 1, height: 1, data: new Uint8Array(4) };
    console.log((await encodeImage(picture, "png")).length > 8);
    await encodeImage(picture, "webp").catch((error) => console.log(String(error)));
  `));
  await writer.close();
  const { stdout, stderr } = await child.output();
  const expected = new MdmError(
    "Cannot write WebP: its encoder does not load on this machine. Write a .png or .jpg.",
  );
  assert.equal(
    new TextDecoder().decode(stdout),
    `true\n${expected}\n`,
    new TextDecoder().decode(stderr),
  );
});

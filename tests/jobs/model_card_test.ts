import assert from "../assert.ts";
import { modelCard } from "../../src/jobs/model_card.ts";
import { builtInModel } from "../../src/pipeline/models/built_in.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { makeVideoModel } from "../video_model.ts";
import { MODEL } from "./job_place.ts";

Deno.test("a card says what pictures a model makes, the outermost resolution first", () => {
  assert.deepEqual(modelCard(MODEL), {
    name: "shapes32",
    makes: "pictures",
    levels: [{ width: 32, height: 32 }, { width: 16, height: 16 }],
    frames: 1,
    sizeStep: 8,
  });
  const sides = (name: string) => modelCard(builtInModel(name)).levels.map(({ width }) => width);
  assert.deepEqual(sides("cc12m_64x64"), [64]);
  assert.deepEqual(sides("cc12m_1024x1024"), [1024, 256, 64]);
});

Deno.test("a model's name is that of its folder, however its path is written", () => {
  for (const path of ["models/cats", "models/cats/", "models\\cats\\\\", "cats"]) {
    assert.match(modelCard({ ...MODEL, path }).name, /cats$/, path);
    assert.doesNotMatch(modelCard({ ...MODEL, path }).name, /[/\\]$/);
  }
});

Deno.test("a card of a model of videos says how many frames they have, and the size of one", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await makeVideoModel(folder);
    using source = await ModelSource.open(folder);
    const { makes, frames, levels } = modelCard(source);
    assert.deepEqual({ makes, frames }, { makes: "videos", frames: 4 });
    assert.deepEqual(levels.map(({ width, height }) => [width, height]), [[16, 16], [8, 8], [
      8,
      8,
    ]]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

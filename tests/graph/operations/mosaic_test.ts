import assert from "../../assert.ts";
import { Graph } from "../../../src/graph/graph.ts";
import { framesOf, mosaicOf } from "../../../src/graph/operations/mosaic.ts";
import * as reference from "../../reference.ts";
import { Bench } from "../run.ts";
import { numbers } from "./numbers.ts";

Deno.test("framesOf cuts a mosaic into frames, row by row, and mosaicOf puts them together", async () => {
  await using bench = await Bench.open();
  for (const grid of [2, 3, 4]) {
    // Frames that are not square tell height from width.
    for (const [rows, height, width, channels] of [[1, 1, 1, 1], [2, 3, 5, 3], [3, 7, 2, 9]]) {
      const mosaic = numbers([rows!, height! * grid, width! * grid, channels!], 1);
      const frames = numbers([rows! * grid * grid, height!, width!, channels!], 2);
      const { cut, joined, back } = await bench.run({ mosaic, frames }, (graph, v) => ({
        cut: framesOf(graph, v.mosaic!, grid),
        joined: mosaicOf(graph, v.frames!, grid),
        back: mosaicOf(graph, framesOf(graph, v.mosaic!, grid), grid),
      }));
      const name = `${grid}: ${[rows, height, width, channels]}`;
      assert.deepEqual([...cut!], Array.from(reference.framesOf(mosaic, grid).data), name);
      assert.deepEqual([...joined!], Array.from(reference.mosaicOf(frames, grid).data), name);
      assert.deepEqual(back, mosaic.data, name);
    }
  }
});

Deno.test("a mosaic of one frame is the frame", () => {
  const graph = new Graph();
  const x = graph.input("x", [2, 3, 5, 4]);
  assert.equal(framesOf(graph, x, 1), x);
  assert.equal(mosaicOf(graph, x, 1), x);
  assert.equal(graph.nodes.length, 0);
});

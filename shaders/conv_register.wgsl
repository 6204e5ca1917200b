// Convolution where nothing but registers helps: each invocation has PIXELS pixels of its own and four output channels, and loads
// what it multiplies itself. See conv_common for what is computed.

#include "conv_common"

#include "conv_buffers"
#include "conv_epilogue"

fn store(m: u32, end: u32, co: u32, sum: Channels) {
  if (m >= end || co >= params.outputVectors) { return; }
  let at = m * params.outputVectors + co;
  output[at] = finish(at, sum);
}

@compute @workgroup_size(${LANES}, ${PIXEL_LANES})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let index = enter(group, groups);
  if (index >= params.gemms * tilesOfGemm(${TILE}u)) { return; }
  let tile = tileAt(index, ${TILE}u);
  let first = tile.first + local.y * ${PIXELS}u;
  var w = panelAt(tile.gemm, group.x, ${LANES}u) + local.x;
  let co = group.x * ${LANES}u + local.x;
  let start = select(vec4f(), bias[co], params.useBias != 0u);
  #for p in 0..PIXELS
  let pixel${p} = pixelAt(min(first + ${p}u, tile.end - 1u));
  var sum${p} = start;
  #end
  for (var ky = 0u; ky < params.kernelHeight; ky++) {
    for (var kx = 0u; kx < params.kernelWidth; kx++) {
      #for p in 0..PIXELS
      let tap${p} = tapAt(pixel${p}, ky, kx);
      #end
      #for s in 0..SOURCES
      #for p in 0..PIXELS
      let base${s}_${p} = tap${p}.index * params.vectors${s};
      #end
      for (var ci = 0u; ci < params.vectors${s}; ci++) {
        #for p in 0..PIXELS
        let value${p} = input${s}[base${s}_${p} + ci] * tap${p}.weight;
        #end
        #for c in x y z w
        {
          let row = widened(weight[w]);
          #for p in 0..PIXELS
          sum${p} += value${p}.${c} * row;
          #end
        }
        w += ${LANES}u;
        #end
      }
      #end
    }
  }
  #for p in 0..PIXELS
  store(first + ${p}u, tile.end, co, sum${p});
  #end
}

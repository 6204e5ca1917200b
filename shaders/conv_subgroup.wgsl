// Convolution for software adapters with subgroups, which are slow at loads: a workgroup is one subgroup along the output
// channels; each lane loads another pixel's vector and broadcasts it, so that a load serves LANES pixels. A lane has VECTORS vectors
// of WIDTH output channels of GROUPS * LANES pixels. See conv_common for what is computed.
//
// With useStatistics it also writes what GroupNorm needs of each tile and channel, as group_norm_stats does.
// Each sum takes its four products at once: compilers keep the weights in registers and touch a sum once, not four times.
// All loads stand before the sums: llvmpipe loads lane by lane in a loop, and each loop among the sums cuts their code into parts.

#include "conv_common"

#include "conv_buffers"
@group(0) @binding(8) var<storage, read_write> statistics: array<Channels>;

alias Weights = mat4x${WIDTH}f;

#include "conv_epilogue"

@compute @workgroup_size(${LANES})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let index = enter(group, groups);
  if (index >= params.gemms * tilesOfGemm(${TILE}u)) { return; }
  let tile = tileAt(index, ${TILE}u);
  var w = panelAt(tile.gemm, group.x, ${PANEL_VECTORS}u) + lane;
  #for v in 0..VECTORS
  let start${v} = select(Channels(), bias[group.x * ${PANEL_VECTORS}u + ${v}u * ${LANES}u + lane], params.useBias != 0u);
  #end
  #for g in 0..GROUPS
  let pixel${g} = pixelAt(min(tile.first + ${g}u * ${LANES}u + lane, tile.end - 1u));
  #for l in 0..LANES
  #for v in 0..VECTORS
  var sum${g}_${l}_${v} = start${v};
  #end
  #end
  #end
  for (var ky = 0u; ky < params.kernelHeight; ky++) {
    for (var kx = 0u; kx < params.kernelWidth; kx++) {
      #for g in 0..GROUPS
      let tap${g} = tapAt(pixel${g}, ky, kx);
      #end
      #for s in 0..SOURCES
      #for g in 0..GROUPS
      let base${s}_${g} = tap${g}.index * params.vectors${s};
      #end
      for (var ci = 0u; ci < params.vectors${s}; ci++) {
        #for v in 0..VECTORS
        let weights${v} = Weights(
          widened(weight[w + ${v}u * ${LANES}u]),
          widened(weight[w + ${v}u * ${LANES}u + ${PANEL_VECTORS}u]),
          widened(weight[w + ${v}u * ${LANES}u + 2u * ${PANEL_VECTORS}u]),
          widened(weight[w + ${v}u * ${LANES}u + 3u * ${PANEL_VECTORS}u]),
        );
        #end
        #for g in 0..GROUPS
        let values${g} = input${s}[base${s}_${g} + ci] * tap${g}.weight;
        #end
        #for g in 0..GROUPS
        #for l in 0..LANES
        {
          let value = subgroupBroadcast(values${g}, ${l}u);
          #for v in 0..VECTORS
          sum${g}_${l}_${v} += weights${v} * value;
          #end
        }
        #end
        #end
        w += 4u * ${PANEL_VECTORS}u;
      }
      #end
    }
  }
  // Sums are stored as they are, and what follows them is done in a loop over what was stored: unrolled, it would take compilers seconds.
  let count = min(${TILE}u, tile.end - tile.first);
  #for v in 0..VECTORS
  let co${v} = group.x * ${PANEL_VECTORS}u + ${v}u * ${LANES}u + lane;
  if (co${v} < params.outputVectors) {
    #for g in 0..GROUPS
    #for l in 0..LANES
    if (${g}u * ${LANES}u + ${l}u < count) {
      output[(tile.first + ${g}u * ${LANES}u + ${l}u) * params.outputVectors + co${v}] = sum${g}_${l}_${v};
    }
    #end
    #end
  }
  #end
  if (params.activation == 0u && params.useGate + params.useResidual + params.useStatistics == 0u) { return; }
  for (var v = 0u; v < ${VECTORS}u; v++) {
    let co = group.x * ${PANEL_VECTORS}u + v * ${LANES}u + lane;
    if (co < params.outputVectors) {
      var total = Channels();
      for (var p = 0u; p < count; p++) {
        let at = (tile.first + p) * params.outputVectors + co;
        let value = finish(at, output[at]);
        output[at] = value;
        total += value;
      }
      if (params.useStatistics != 0u) {
        let mean = total / f32(count);
        var squares = Channels();
        for (var p = 0u; p < count; p++) {
          let d = output[(tile.first + p) * params.outputVectors + co] - mean;
          squares += d * d;
        }
        statistics[2u * index * params.outputVectors + co] = mean;
        statistics[(2u * index + 1u) * params.outputVectors + co] = squares;
      }
    }
  }
}

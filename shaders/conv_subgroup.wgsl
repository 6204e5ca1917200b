// Convolution for software adapters with subgroups, which are slow at loads: a workgroup is one subgroup along the output
// channels; each lane loads another pixel's vector and broadcasts it, so that a load serves LANES pixels. A lane has VECTORS vectors
// of WIDTH output channels of GROUPS * LANES pixels. See conv_common for what is computed.
//
// Each sum takes its four products at once: compilers keep the weights in registers and touch a sum once, not four times.

#include "conv_common"

alias Channels = vec${WIDTH}f;
alias Weights = mat4x${WIDTH}f;

#if HALF
#if NARROW
@group(0) @binding(1) var<storage, read> weight: array<u32>;
#else
@group(0) @binding(1) var<storage, read> weight: array<vec2u>;
#end
#else
@group(0) @binding(1) var<storage, read> weight: array<Channels>;
#end
@group(0) @binding(2) var<storage, read> bias: array<Channels>;
@group(0) @binding(3) var<storage, read_write> input0: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> gate: array<Channels>;
@group(0) @binding(5) var<storage, read_write> residual: array<Channels>;
@group(0) @binding(6) var<storage, read_write> output: array<Channels>;
#if CONCAT
@group(0) @binding(7) var<storage, read_write> input1: array<vec4f>;
#end

fn weightAt(at: u32) -> Channels {
  let stored = weight[at];
  #if HALF
  #if NARROW
  return unpack2x16float(stored);
  #else
  return vec4f(unpack2x16float(stored.x), unpack2x16float(stored.y));
  #end
  #else
  return stored;
  #end
}

fn activateChannels(x: Channels) -> Channels {
  #if NARROW
  return activate(vec4f(x, x), params.activation).xy;
  #else
  return activate(x, params.activation);
  #end
}

fn store(m: u32, end: u32, co: u32, sum: Channels) {
  if (m >= end || co >= params.outputVectors) { return; }
  let at = m * params.outputVectors + co;
  var value = sum;
  if (params.useBias != 0u) { value += bias[co]; }
  value = activateChannels(value);
  if (params.useGate != 0u) { value *= gate[at]; }
  if (params.useResidual != 0u) { value += residual[at]; }
  output[at] = value;
}

@compute @workgroup_size(${LANES})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let index = group.y + group.z * groups.y;
  if (index >= params.spans * ((params.span + ${TILE}u - 1u) / ${TILE}u)) { return; }
  let tile = tileAt(index, ${TILE}u);
  var w = panelAt(tile.span, group.x, ${PANEL_VECTORS}u) + lane;
  #for g in 0..GROUPS
  let pixel${g} = pixelAt(min(tile.first + ${g}u * ${LANES}u + lane, tile.end - 1u));
  #for l in 0..LANES
  #for v in 0..VECTORS
  var sum${g}_${l}_${v} = Channels();
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
          weightAt(w + ${v}u * ${LANES}u),
          weightAt(w + ${v}u * ${LANES}u + ${PANEL_VECTORS}u),
          weightAt(w + ${v}u * ${LANES}u + 2u * ${PANEL_VECTORS}u),
          weightAt(w + ${v}u * ${LANES}u + 3u * ${PANEL_VECTORS}u),
        );
        #end
        #for g in 0..GROUPS
        let values${g} = input${s}[base${s}_${g} + ci] * tap${g}.weight;
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
  #for v in 0..VECTORS
  let co${v} = group.x * ${PANEL_VECTORS}u + ${v}u * ${LANES}u + lane;
  #for g in 0..GROUPS
  #for l in 0..LANES
  store(tile.first + ${g}u * ${LANES}u + ${l}u, tile.end, co${v}, sum${g}_${l}_${v});
  #end
  #end
  #end
}

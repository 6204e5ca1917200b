import activation from "../../shaders/activation.wgsl" with { type: "text" };
import add from "../../shaders/add.wgsl" with { type: "text" };
import attention from "../../shaders/attention.wgsl" with { type: "text" };
import attentionSubgroup from "../../shaders/attention_subgroup.wgsl" with { type: "text" };
import averagePool from "../../shaders/average_pool.wgsl" with { type: "text" };
import convBuffers from "../../shaders/conv_buffers.wgsl" with { type: "text" };
import convCommon from "../../shaders/conv_common.wgsl" with { type: "text" };
import convEpilogue from "../../shaders/conv_epilogue.wgsl" with { type: "text" };
import convRegister from "../../shaders/conv_register.wgsl" with { type: "text" };
import convSubgroup from "../../shaders/conv_subgroup.wgsl" with { type: "text" };
import convSum from "../../shaders/conv_sum.wgsl" with { type: "text" };
import convWorkgroup from "../../shaders/conv_workgroup.wgsl" with { type: "text" };
import deviation from "../../shaders/deviation.wgsl" with { type: "text" };
import relativeChange from "../../shaders/relative_change.wgsl" with { type: "text" };
import elementwiseMain from "../../shaders/elementwise.wgsl" with { type: "text" };
import gather from "../../shaders/gather.wgsl" with { type: "text" };
import groupNorm from "../../shaders/group_norm.wgsl" with { type: "text" };
import groupNormAffine from "../../shaders/group_norm_affine.wgsl" with { type: "text" };
import groupNormApply from "../../shaders/group_norm_apply.wgsl" with { type: "text" };
import groupNormCommon from "../../shaders/group_norm_common.wgsl" with { type: "text" };
import groupNormStats from "../../shaders/group_norm_stats.wgsl" with { type: "text" };
import layerNorm from "../../shaders/layer_norm.wgsl" with { type: "text" };
import mosaic from "../../shaders/mosaic.wgsl" with { type: "text" };
import noise from "../../shaders/noise.wgsl" with { type: "text" };
import padding from "../../shaders/padding.wgsl" with { type: "text" };
import params from "../../shaders/params.wgsl" with { type: "text" };
import predictX0 from "../../shaders/predict_x0.wgsl" with { type: "text" };
import quantile from "../../shaders/quantile.wgsl" with { type: "text" };
import repeatRows from "../../shaders/repeat_rows.wgsl" with { type: "text" };
import rowPerWorkgroupMain from "../../shaders/row_per_workgroup.wgsl" with { type: "text" };
import rotary from "../../shaders/rotary.wgsl" with { type: "text" };
import samplerUpdate from "../../shaders/sampler_update.wgsl" with { type: "text" };
import slot from "../../shaders/slot.wgsl" with { type: "text" };
import weightedSum from "../../shaders/weighted_sum.wgsl" with { type: "text" };
import winogradInput from "../../shaders/winograd_input.wgsl" with { type: "text" };
import winogradOutput from "../../shaders/winograd_output.wgsl" with { type: "text" };
import workgroupSum from "../../shaders/workgroup_sum.wgsl" with { type: "text" };
import { type Dispatch, Kernel, spread } from "./kernel.ts";
import type { TemplateValues } from "./template.ts";

const includes = {
  activation,
  conv_buffers: convBuffers,
  conv_common: convCommon,
  conv_epilogue: convEpilogue,
  elementwise: elementwiseMain,
  group_norm_common: groupNormCommon,
  padding,
  params,
  row_per_workgroup: rowPerWorkgroupMain,
  slot,
  workgroup_sum: workgroupSum,
};

/** Every kernel there is; each is the file of that name in `shaders/`. */
export const kernels = {
  add: new Kernel("add", add, includes),
  attention: new Kernel("attention", attention, includes),
  attentionSubgroup: new Kernel("attention_subgroup", attentionSubgroup, includes),
  averagePool: new Kernel("average_pool", averagePool, includes),
  convRegister: new Kernel("conv_register", convRegister, includes),
  convSubgroup: new Kernel("conv_subgroup", convSubgroup, includes),
  convSum: new Kernel("conv_sum", convSum, includes),
  convWorkgroup: new Kernel("conv_workgroup", convWorkgroup, includes),
  deviation: new Kernel("deviation", deviation, includes),
  relativeChange: new Kernel("relative_change", relativeChange, includes),
  gather: new Kernel("gather", gather, includes),
  groupNorm: new Kernel("group_norm", groupNorm, includes),
  groupNormAffine: new Kernel("group_norm_affine", groupNormAffine, includes),
  groupNormApply: new Kernel("group_norm_apply", groupNormApply, includes),
  groupNormStats: new Kernel("group_norm_stats", groupNormStats, includes),
  layerNorm: new Kernel("layer_norm", layerNorm, includes),
  mosaic: new Kernel("mosaic", mosaic, includes),
  noise: new Kernel("noise", noise, includes),
  predictX0: new Kernel("predict_x0", predictX0, includes),
  quantile: new Kernel("quantile", quantile, includes),
  repeatRows: new Kernel("repeat_rows", repeatRows, includes),
  rotary: new Kernel("rotary", rotary, includes),
  samplerUpdate: new Kernel("sampler_update", samplerUpdate, includes),
  weightedSum: new Kernel("weighted_sum", weightedSum, includes),
  winogradInput: new Kernel("winograd_input", winogradInput, includes),
  winogradOutput: new Kernel("winograd_output", winogradOutput, includes),
} as const;

/** Invocations of a workgroup where nothing asks for another number. */
export const WORKGROUP = 64;

/** A call of a kernel in which one invocation has one number (or vector), as `shaders/elementwise.wgsl` enters it. */
export function elementwise<Buffer>(
  { invocations, params, constants, ...call }:
    & Omit<Dispatch<Buffer>, "constants" | "workgroups">
    & { readonly invocations: number; readonly constants?: TemplateValues },
): Dispatch<Buffer> {
  return {
    ...call,
    constants: { WORKGROUP, ...constants },
    params: { invocations, ...params },
    workgroups: spread(Math.ceil(invocations / WORKGROUP)),
  };
}

/** A call of a kernel in which one workgroup has one row, as `shaders/row_per_workgroup.wgsl` enters it. */
export function rowPerWorkgroup<Buffer>(
  { rows, params, constants, ...call }:
    & Omit<Dispatch<Buffer>, "constants" | "workgroups">
    & { readonly rows: number; readonly constants?: TemplateValues },
): Dispatch<Buffer> {
  return {
    ...call,
    constants: { WORKGROUP, ...constants },
    params: { rows, ...params },
    workgroups: spread(rows),
  };
}

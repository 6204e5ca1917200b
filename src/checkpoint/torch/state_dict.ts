import { bytesPerElement, type Dtype } from "../dtype.ts";
import { loadError, quote } from "../header.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { tensorDtype } from "./storage_types.ts";
import { elementCount, type Strided, strideEnd } from "./strided.ts";
import { isKind, type PickleMap, type PickleTensor, type PickleValue } from "./values.ts";

/** A tensor of a torch file: a view of a storage, checked to lie inside it. */
export interface TorchTensor extends Strided {
  readonly name: string;
  readonly dtype: Dtype;
  /** The key of its storage, which other tensors may share. */
  readonly storage: string;
  /** Elements of the whole storage. */
  readonly storageCount: number;
}

/** What a state dict holds. */
export interface StateDict {
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  /** What stands under other names, as the end of a sentence: "is a sparse tensor". */
  readonly unreadable: ReadonlyMap<string, string>;
}

/**
 * Where training scripts put a model's weights. The reference saves "state_dict" (`UNet.save`,
 * `ModelEma.save`); of averaged weights and those of the last step, the averaged ones come first.
 */
const KEYS = [
  "state_dict",
  "ema_state_dict",
  "model_ema",
  "ema",
  "ema_model",
  "params_ema",
  "model_state_dict",
  "model",
  "module",
  "net",
  "params",
  "weights",
];

const MAX_DIMENSIONS = 16;
/** A stride of 0 repeats elements, so a few bytes could stand for any number of them. */
const MAX_REPEATED = 1 << 24;

/**
 * Finds the state dict in what was saved and checks its tensors.
 *
 * @returns the tensors by name, in the file's order
 * @throws {MdmError} when there is none, or a tensor does not lie in its storage
 */
export function readStateDict(path: string, checkpoint: Checkpoint): StateDict {
  const tensors = new Map<string, TorchTensor>();
  const unreadable = new Map<string, string>();
  for (const [name, value] of findStateDict(path, checkpoint.value)) {
    if (typeof name !== "string") continue;
    const problem = problemOf(value);
    if (problem !== undefined) unreadable.set(name, problem);
    else if (isKind(value, "tensor")) {
      tensors.set(name, checkTensor(path, name, value, checkpoint));
    }
  }
  return { tensors, unreadable };
}

/** Why what stands under a tensor's name cannot be read; undefined: it may be. */
function problemOf(value: PickleValue): string | undefined {
  if (isKind(value, "unreadable")) return `is ${value.what}`;
  if (isKind(value, "record")) return `is an object of class ${quote(value.class)}`;
  if (!isKind(value, "tensor")) return "is no tensor";
  return dtypeOf(value) === undefined ? `has elements of type ${typeName(value)}` : undefined;
}

function typeName({ storage, dtype }: PickleTensor): string {
  return quote(dtype ?? storage.type);
}

/** The type of a tensor's elements; undefined: it is none that is read. */
function dtypeOf({ storage, dtype }: PickleTensor): Dtype | undefined {
  return dtype === undefined ? storage.dtype : tensorDtype(dtype);
}

function findStateDict(path: string, value: PickleValue): PickleMap {
  if (isKind(value, "record")) {
    throw loadError(
      path,
      `it holds an object of class ${quote(value.class)} instead of a state dict ` +
        "(torch.save(model) instead of torch.save(model.state_dict()))",
    );
  }
  const parts = partsOf(value);
  // Some save what another script saved, with more beside it.
  const found = [...parts, ...parts.flatMap(partsOf), value].find(isStateDict);
  if (found === undefined) throw loadError(path, "it holds no state dict");
  return found;
}

function partsOf(value: PickleValue | undefined): PickleValue[] {
  return value instanceof Map ? KEYS.flatMap((key) => value.get(key) ?? []) : [];
}

function isStateDict(value: PickleValue | undefined): value is PickleMap {
  return value instanceof Map &&
    value.values().some((item) => isKind(item, "tensor") || isKind(item, "unreadable"));
}

function checkTensor(
  path: string,
  name: string,
  tensor: PickleTensor,
  checkpoint: Checkpoint,
): TorchTensor {
  const fail = (reason: string) => loadError(path, `tensor ${quote(name)} ${reason}`);
  const { storage: { key, dtype: stored, count: storedCount }, offset, shape, strides } = tensor;
  const dtype = dtypeOf(tensor);
  if (dtype === undefined || stored === undefined) throw fail("has elements of an unknown type");
  if (!isSizes(shape) || shape.length > MAX_DIMENSIONS) throw fail("has no valid shape");
  if (!isSizes(strides) || strides.length !== shape.length) throw fail("has no valid strides");
  if (!isSize(offset)) throw fail("has no valid offset");
  const byteLength = checkpoint.byteLength(key);
  if (byteLength === undefined) throw fail(`is in storage ${quote(key)}, which is not there`);
  if (byteLength !== storedCount * bytesPerElement(stored)) {
    throw fail(`is in a storage of ${byteLength} bytes, which should have ${storedCount} elements`);
  }
  const count = Math.floor(byteLength / bytesPerElement(dtype));
  const checked = { name, dtype, shape, strides, offset, storage: key, storageCount: count };
  if (strideEnd(checked) > count || elementCount(shape) > Math.max(count, MAX_REPEATED)) {
    throw fail(`of shape [${shape.join(", ")}] does not fit its storage of ${count} elements`);
  }
  return checked;
}

function isSize(value: PickleValue): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isSizes(value: PickleValue): value is number[] {
  return Array.isArray(value) && value.every(isSize);
}

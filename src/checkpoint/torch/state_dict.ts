import { bytesPerElement, type Dtype } from "../dtype.ts";
import { loadError, quote } from "../header.ts";
import type { Checkpoint } from "./checkpoint.ts";
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

/**
 * Where training scripts put a model's weights. The reference saves "state_dict" (`UNet.save`,
 * `ModelEma.save`); of averaged weights and those of the last step, the averaged ones come first.
 */
const KEYS = ["state_dict", "ema_state_dict", "model_ema", "ema", "model_state_dict", "model"];

const MAX_DIMENSIONS = 16;
/** A stride of 0 repeats elements, so a few bytes could stand for any number of them. */
const MAX_REPEATED = 1 << 24;

/**
 * Finds the state dict in what was saved and checks its tensors.
 *
 * @returns the tensors by name, in the file's order
 * @throws {MdmError} when there is none, or a tensor does not lie in its storage
 */
export function readStateDict(path: string, checkpoint: Checkpoint): Map<string, TorchTensor> {
  const tensors = new Map<string, TorchTensor>();
  for (const [name, value] of findStateDict(path, checkpoint.value)) {
    if (typeof name !== "string" || !isKind(value, "tensor")) continue;
    tensors.set(name, checkTensor(path, name, value, checkpoint));
  }
  return tensors;
}

function findStateDict(path: string, value: PickleValue): PickleMap {
  if (isKind(value, "record")) {
    throw loadError(
      path,
      `it holds an object of class ${quote(value.class)} instead of a state dict ` +
        "(torch.save(model) instead of torch.save(model.state_dict()))",
    );
  }
  const candidates = value instanceof Map ? [...KEYS.map((key) => value.get(key)), value] : [];
  const found = candidates.find(isStateDict);
  if (found === undefined) throw loadError(path, "it holds no state dict");
  return found;
}

function isStateDict(value: PickleValue | undefined): value is PickleMap {
  return value instanceof Map && value.values().some((item) => isKind(item, "tensor"));
}

function checkTensor(
  path: string,
  name: string,
  { storage, offset, shape, strides }: PickleTensor,
  checkpoint: Checkpoint,
): TorchTensor {
  const fail = (reason: string) => loadError(path, `tensor ${quote(name)} ${reason}`);
  const { key, dtype, count } = storage;
  if (dtype === undefined) throw fail("has elements of an unknown type");
  if (!isSizes(shape) || shape.length > MAX_DIMENSIONS) throw fail("has no valid shape");
  if (!isSizes(strides) || strides.length !== shape.length) throw fail("has no valid strides");
  if (!isSize(offset)) throw fail("has no valid offset");
  const byteLength = checkpoint.byteLength(key);
  if (byteLength === undefined) throw fail(`is in storage ${quote(key)}, which is not there`);
  if (byteLength !== count * bytesPerElement(dtype)) {
    throw fail(`is in a storage of ${byteLength} bytes, which should have ${count} elements`);
  }
  const tensor = { name, dtype, shape, strides, offset, storage: key, storageCount: count };
  if (strideEnd(tensor) > count || elementCount(shape) > Math.max(count, MAX_REPEATED)) {
    throw fail(`of shape [${shape.join(", ")}] does not fit its storage of ${count} elements`);
  }
  return tensor;
}

function isSize(value: PickleValue): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isSizes(value: PickleValue): value is number[] {
  return Array.isArray(value) && value.every(isSize);
}

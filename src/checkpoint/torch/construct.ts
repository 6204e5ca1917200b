/**
 * The few classes and functions of pickles that only stand for data, and what data: containers,
 * torch's tensors, numpy's numbers. Nothing else is known, and none of it is code of the file.
 * Each does little work, since a file can ask for any of them as often as it likes.
 */

import { Buffer } from "node:buffer";
import { numpyScalar } from "./numpy_scalar.ts";
import { isKind, type PickleTensor, type PickleValue } from "./values.ts";

/** What arguments stand for; undefined: not what is expected, so they stay as they are. */
type Constructor = (args: PickleValue[]) => PickleValue | undefined;

const CONSTRUCTORS: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ["collections.OrderedDict", (args) => args.length === 0 ? new Map() : undefined],
  // Its first argument makes values that are missing.
  ["collections.defaultdict", () => new Map()],
  ["builtins.set", ([items]) => list(items)],
  ["builtins.frozenset", ([items]) => list(items)],
  ["builtins.bytes", ([items]) => items === undefined ? new Uint8Array(0) : undefined],
  ["_codecs.encode", ([text, encoding]) => latin1(text, encoding)],
  ["torch.Size", ([sizes]) => list(sizes)],
  ["torch._utils._rebuild_tensor", tensor],
  ["torch._utils._rebuild_tensor_v2", tensor],
  ["torch._utils._rebuild_parameter", ([data]) => parameter(data)],
  ["torch._utils._rebuild_parameter_with_state", ([data]) => parameter(data)],
  // A record, because its byte order comes as its state.
  ["numpy.dtype", (args) => ({ kind: "record", class: "numpy.dtype", args, state: null })],
  ["numpy.core.multiarray.scalar", numpyScalar],
  ["numpy._core.multiarray.scalar", numpyScalar],
]);

/**
 * Makes what a call in a pickle stands for.
 *
 * @param name the class or function, "module.name"
 * @returns undefined when it is not known, or the arguments are not what it takes
 */
export function construct(name: string, args: PickleValue[]): PickleValue | undefined {
  // Python 2's name, which protocol 2 still writes.
  return CONSTRUCTORS.get(name.replace(/^__builtin__\./, "builtins."))?.(args);
}

/** What is made from a list is that list: nobody changes it afterwards. */
function list(items: PickleValue = []): PickleValue[] | undefined {
  return Array.isArray(items) ? items : undefined;
}

/** Protocol 2 has no bytes: it writes text whose characters are the bytes. */
function latin1(
  text: PickleValue | undefined,
  encoding: PickleValue | undefined,
): Uint8Array | undefined {
  if (typeof text !== "string" || encoding !== "latin1") return undefined;
  return Buffer.from(text, "latin1");
}

function tensor(args: PickleValue[]): PickleTensor | undefined {
  const [storage, offset = null, shape = null, strides = null] = args;
  if (!isKind(storage, "storage")) return undefined;
  return { kind: "tensor", storage, offset, shape, strides };
}

function parameter(data: PickleValue | undefined): PickleTensor | undefined {
  return isKind(data, "tensor") ? data : undefined;
}

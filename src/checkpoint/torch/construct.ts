/**
 * The few classes and functions of pickles that only stand for data, and what data: containers,
 * torch's tensors, numpy's numbers. Nothing else is known, and none of it is code of the file.
 * Each does little work, since a file can ask for any of them as often as it likes.
 */

import { Buffer } from "node:buffer";
import { quote } from "../header.ts";
import { numpyScalar } from "./numpy_scalar.ts";
import { isKind, type PickleTensor, type PickleUnreadable, type PickleValue } from "./values.ts";

/** What arguments stand for; undefined: not what is expected, so they stay as they are. */
type Constructor = (args: PickleValue[]) => PickleValue | undefined;

/** Functions of torch that make a tensor; those for other devices than a processor come last. */
const TENSORS: readonly (readonly [name: string, construct: Constructor])[] = [
  ["torch._utils._rebuild_tensor", tensor],
  ["torch._utils._rebuild_tensor_v2", tensor],
  ["torch._utils._rebuild_tensor_v3", typedTensor],
  ["torch._utils._rebuild_parameter", ([data]) => parameter(data)],
  ["torch._utils._rebuild_parameter_with_state", ([data]) => parameter(data)],
  ["torch._utils._rebuild_qtensor", ([, , shape]) => unreadable("a quantized tensor", shape)],
  ["torch._utils._rebuild_sparse_tensor", sparse],
  ["torch._utils._rebuild_nested_tensor", () => unreadable("a nested tensor")],
  ["torch.nested._internal.nested_tensor._rebuild_njt", () => unreadable("a nested tensor")],
  [
    "torch._utils._rebuild_meta_tensor_no_storage",
    ([, shape]) => unreadable("a tensor without numbers (on the meta device)", shape),
  ],
  [
    "torch._utils._rebuild_wrapper_subclass",
    ([type, , shape]) => unreadable(`a tensor of class ${className(type)}`, shape),
  ],
  ["torch._utils._rebuild_device_tensor_from_cpu_tensor", ([data]) => parameter(data)],
  ["torch._utils._rebuild_device_tensor_from_numpy", () => unreadable("an array of NumPy")],
  ["torch._utils._rebuild_xla_tensor", () => unreadable("an array of NumPy")],
];

const CONSTRUCTORS: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ["collections.OrderedDict", (args) => args.length === 0 ? new Map() : undefined],
  // Its first argument makes values that are missing.
  ["collections.defaultdict", () => new Map()],
  ["builtins.set", ([items]) => list(items)],
  ["builtins.frozenset", ([items]) => list(items)],
  ["builtins.bytes", ([items]) => items === undefined ? new Uint8Array(0) : undefined],
  ["_codecs.encode", ([text, encoding]) => latin1(text, encoding)],
  ["torch.Size", ([sizes]) => list(sizes)],
  ...TENSORS,
  ["torch._tensor._rebuild_from_type", subclass],
  ["torch._tensor._rebuild_from_type_v2", subclass],
  // Its name before version 1.9.
  ["torch.tensor._rebuild_from_type", subclass],
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

/** (storage, offset, shape, strides, gradient, hooks, flags) */
function tensor(args: PickleValue[]): PickleValue | undefined {
  return view(args, undefined, args[6]);
}

/** As {@link tensor} with a dtype before the flags: of those that have no class of storages. */
function typedTensor(args: PickleValue[]): PickleValue | undefined {
  const [, , , , , , dtype, flags] = args;
  return isKind(dtype, "class") ? view(args, dtype.name, flags) : undefined;
}

function view(
  [storage, offset = null, shape = null, strides = null]: PickleValue[],
  dtype: string | undefined,
  flags: PickleValue | undefined,
): PickleTensor | PickleUnreadable | undefined {
  if (!isKind(storage, "storage")) return undefined;
  if (flags instanceof Map && flags.values().some((flag) => flag === true)) {
    return unreadable("a tensor whose numbers are still to be negated or conjugated", shape);
  }
  return { kind: "tensor", storage, offset, shape, strides, dtype };
}

function parameter(data: PickleValue | undefined): PickleTensor | PickleUnreadable | undefined {
  return isKind(data, "tensor") || isKind(data, "unreadable") ? data : undefined;
}

/** A tensor with Python attributes or of a class of its own: (function, class, arguments, state). */
function subclass([rebuild, type, args]: PickleValue[]): PickleValue | undefined {
  if (!isKind(rebuild, "class")) return undefined;
  // One level: what makes a subclass is none of these functions, and a file could nest without end.
  const construct = TENSORS.find(([name]) => name === rebuild.name)?.[1];
  return Array.isArray(args) && construct?.(args) ||
    unreadable(`a tensor of class ${className(type)}`);
}

/** (layout, (indices, values, shape, ...)), or with two sorts of indices. */
function sparse([, data]: PickleValue[]): PickleUnreadable {
  const shape = Array.isArray(data) ? data.find((part) => Array.isArray(part)) : undefined;
  return unreadable("a sparse tensor", shape);
}

function unreadable(what: string, shape: PickleValue = null): PickleUnreadable {
  return { kind: "unreadable", what, shape };
}

function className(type: PickleValue | undefined): string {
  return quote(isKind(type, "class") ? type.name : "?");
}

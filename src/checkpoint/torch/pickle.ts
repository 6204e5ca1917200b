/**
 * Reads Python pickles as data. A pickle is a program for a stack machine; here it builds plain
 * values, and where it would import or call something, a record of what it named. Nothing that a
 * file names is looked up, so nothing can be run. Depth costs nothing: it is a loop, no recursion.
 *
 * The operations are those of protocols 2 to 5 that CPython writes, under the names that
 * `Lib/pickletools.py` gives them.
 */

import { Machine } from "./machine.ts";
import { PickleBytes } from "./pickle_bytes.ts";
import type { PickleStorage, PickleValue } from "./values.ts";

/** A checkpoint of 2,000 tensors takes about 50,000; a list of numbers takes one for each. */
const MAX_OPERATIONS = 1 << 22;

/** One pickle's value, and what was met on the way. */
export interface Unpickled {
  readonly value: PickleValue;
  /** How often each class that is not known here was made a record of. */
  readonly records: ReadonlyMap<string, number>;
  /** Every storage that it refers to, by its key. */
  readonly storages: ReadonlyMap<string, PickleStorage>;
  /** The byte after the pickle. */
  readonly end: number;
}

type Operation = (machine: Machine, operand: PickleBytes) => void;

const OPERATIONS: ReadonlyMap<number, Operation> = new Map(
  ([
    ["\x80", (_, operand) => operand.uint8()], // PROTO
    ["\x95", (_, operand) => operand.uint64()], // FRAME: only groups reads from a stream

    ["N", (m) => m.push(null)], // NONE
    ["\x88", (m) => m.push(true)], // NEWTRUE
    ["\x89", (m) => m.push(false)], // NEWFALSE
    ["K", (m, operand) => m.push(operand.uint8())], // BININT1
    ["M", (m, operand) => m.push(operand.uint16())], // BININT2
    ["J", (m, operand) => m.push(operand.int32())], // BININT
    ["\x8a", (m, operand) => m.make(operand.integer(operand.uint8()))], // LONG1
    ["\x8b", (m, operand) => m.make(operand.integer(operand.uint32()))], // LONG4
    ["G", (m, operand) => m.push(operand.float64())], // BINFLOAT

    ["X", (m, operand) => m.make(operand.text(operand.uint32()))], // BINUNICODE
    ["\x8c", (m, operand) => m.make(operand.text(operand.uint8()))], // SHORT_BINUNICODE
    ["\x8d", (m, operand) => m.make(operand.text(operand.uint64()))], // BINUNICODE8
    ["T", (m, operand) => m.make(operand.latin1(operand.uint32()))], // BINSTRING
    ["U", (m, operand) => m.make(operand.latin1(operand.uint8()))], // SHORT_BINSTRING
    ["B", (m, operand) => m.make(operand.take(operand.uint32()))], // BINBYTES
    ["C", (m, operand) => m.make(operand.take(operand.uint8()))], // SHORT_BINBYTES
    ["\x8e", (m, operand) => m.make(operand.take(operand.uint64()))], // BINBYTES8
    ["\x96", (m, operand) => m.make(operand.take(operand.uint64()))], // BYTEARRAY8

    ["(", (m) => m.mark()], // MARK
    ["0", (m) => m.pop()], // POP
    ["1", (m) => m.popGroup()], // POP_MARK
    ["2", (m) => m.push(m.peek())], // DUP
    ["q", (m, operand) => m.memoize(operand.uint8())], // BINPUT
    ["r", (m, operand) => m.memoize(operand.uint32())], // LONG_BINPUT
    ["\x94", (m) => m.memoize()], // MEMOIZE
    ["h", (m, operand) => m.recall(operand.uint8())], // BINGET
    ["j", (m, operand) => m.recall(operand.uint32())], // LONG_BINGET

    ["]", (m) => m.make([])], // EMPTY_LIST
    ["a", (m) => m.append(m.popMany(1))], // APPEND
    ["e", (m) => m.append(m.popGroup())], // APPENDS
    [")", (m) => m.make([])], // EMPTY_TUPLE
    ["t", (m) => m.make(m.popGroup())], // TUPLE
    ["\x85", (m) => m.make(m.popMany(1))], // TUPLE1
    ["\x86", (m) => m.make(m.popMany(2))], // TUPLE2
    ["\x87", (m) => m.make(m.popMany(3))], // TUPLE3
    ["}", (m) => m.make(new Map())], // EMPTY_DICT
    ["s", (m) => m.setItems(m.popMany(2))], // SETITEM
    ["u", (m) => m.setItems(m.popGroup())], // SETITEMS
    ["\x8f", (m) => m.make([])], // EMPTY_SET
    ["\x90", (m) => m.append(m.popGroup())], // ADDITEMS
    ["\x91", (m) => m.make(m.popGroup())], // FROZENSET

    ["c", (m, operand) => m.pushClass([operand.line(), operand.line()])], // GLOBAL
    ["\x93", (m) => m.pushClass(m.popMany(2))], // STACK_GLOBAL
    ["R", call], // REDUCE
    ["\x81", call], // NEWOBJ
    ["\x92", callWithNames], // NEWOBJ_EX
    ["b", (m) => m.setState(m.pop())], // BUILD
    ["Q", (m) => m.pushStorage(m.pop())], // BINPERSID
  ] satisfies [string, Operation][]).map(([opcode, operation]) => [
    opcode.charCodeAt(0),
    operation,
  ]),
);
const STOP = ".".charCodeAt(0);

/**
 * Reads one pickle.
 *
 * @param path the file, for messages
 * @param bytes what holds the pickle
 * @param start the pickle's first byte
 * @throws {MdmError} when it is cut short, makes no sense or makes too much
 */
export function unpickle(path: string, bytes: Uint8Array, start = 0): Unpickled {
  const machine = new Machine(path);
  const operand = new PickleBytes(path, bytes, start);
  for (let count = 0; count < MAX_OPERATIONS; count++) {
    const opcode = operand.uint8();
    if (opcode === STOP) {
      const { records, storages } = machine;
      return { value: machine.pop(), records, storages, end: operand.position };
    }
    const operation = OPERATIONS.get(opcode);
    if (operation === undefined) {
      throw machine.error(`has operation 0x${opcode.toString(16)}, which torch does not write`);
    }
    operation(machine, operand);
  }
  throw machine.error(`has more than ${MAX_OPERATIONS} operations`);
}

function call(machine: Machine): void {
  const [target, args] = machine.popMany(2);
  machine.call(target!, args!);
}

/** As {@link call}; arguments given by name are left out. */
function callWithNames(machine: Machine): void {
  machine.pop();
  call(machine);
}

import protobuf from "protobufjs";
import type { OnnxAttribute, OnnxInitializer, OnnxModel, OnnxTensor } from "./model.ts";
import { OPSET } from "./model.ts";
import schema from "./onnx.proto" with { type: "text" };

/** The numbers that the standard gives to types of elements. */
const FLOAT = 1, INT32 = 6, INT64 = 7;

/** The version of the file format that came with operator set 17. */
const IR_VERSION = 8;

/** The place of a tensor that does not lie in the model's file. */
const EXTERNAL = 1;

const ModelProto = protobuf.parse(schema, { keepCase: true }).root.lookupType("onnx.ModelProto");

/** A range of the file that holds the weights. */
export interface WeightRange {
  readonly offset: number;
  readonly bytes: number;
}

/**
 * A model as the bytes of an ONNX file, whose weights lie in another file.
 *
 * @param location The name of that file, which has to lie beside this one.
 * @param ranges Where each initializer of weights lies in it, by its name.
 */
export function encodeModel(
  model: OnnxModel,
  location: string,
  ranges: ReadonlyMap<string, WeightRange>,
): Uint8Array<ArrayBuffer> {
  const proto = ModelProto.fromObject({
    ir_version: IR_VERSION,
    producer_name: "mdm bench",
    opset_import: [{ domain: "", version: OPSET }],
    graph: {
      name: "mdm",
      node: model.nodes.map(({ operation, name, inputs, outputs, attributes }) => ({
        op_type: operation,
        name,
        input: inputs,
        output: outputs,
        attribute: Object.entries(attributes).map(([name, value]) => ({
          name,
          ...attributeFields(value),
        })),
      })),
      initializer: model.initializers.map((initializer) => ({
        name: initializer.name,
        dims: initializer.shape,
        ...tensorFields(initializer, location, ranges),
      })),
      input: model.inputs.map(valueInfo),
      output: model.outputs.map(valueInfo),
    },
  });
  return Uint8Array.from(ModelProto.encode(proto).finish());
}

/** An attribute's value, and the number of its type. */
function attributeFields(attribute: OnnxAttribute): Record<string, unknown> {
  if ("float" in attribute) return { f: attribute.float, type: 1 };
  if ("int" in attribute) return { i: attribute.int, type: 2 };
  if ("text" in attribute) return { s: new TextEncoder().encode(attribute.text), type: 3 };
  return { ints: attribute.ints, type: 7 };
}

function tensorFields(
  { name, data }: OnnxInitializer,
  location: string,
  ranges: ReadonlyMap<string, WeightRange>,
): Record<string, unknown> {
  switch (data.kind) {
    case "floats":
      return { data_type: FLOAT, raw_data: bytesOf(Float32Array.from(data.values)) };
    case "integers":
      return { data_type: INT64, raw_data: bytesOf(BigInt64Array.from(data.values.map(BigInt))) };
    case "weights": {
      const { offset, bytes } = ranges.get(name)!;
      const entries = { location, offset: String(offset), length: String(bytes) };
      return {
        data_type: FLOAT,
        data_location: EXTERNAL,
        external_data: Object.entries(entries).map(([key, value]) => ({ key, value })),
      };
    }
  }
}

function valueInfo({ name, type, shape }: OnnxTensor): Record<string, unknown> {
  return {
    name,
    type: {
      tensor_type: {
        elem_type: type === "int32" ? INT32 : FLOAT,
        shape: { dim: shape.map((size) => ({ dim_value: size })) },
      },
    },
  };
}

function bytesOf(array: Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** The settings that the page's form offers, from which the browser makes its fields. */
import { z } from "../../deps/zod_openapi.ts";
import {
  type Parameter,
  PARAMETER_ENTRIES,
  type ParameterName,
  type ParameterType,
  SEED_PATTERN,
} from "../../pipeline/parameters.ts";
import {
  choicesIn,
  defaultOf,
  formatsOf,
  largestSize,
  mostOf,
  type Offer,
} from "../input/options.ts";

/** A field of the form. */
export const FormFieldJson = z.object({
  name: z.string().describe("Of the field in `POST /jobs`."),
  label: z.string(),
  kind: z.enum(["text", "number", "digits", "boolean", "choice"]).describe(
    "What is typed: a line of digits may be too large for a number.",
  ),
  description: z.string(),
  min: z.number().optional(),
  max: z.number().optional().describe("Of text: letters."),
  step: z.union([z.number(), z.literal("any")]).optional(),
  pattern: z.string().optional(),
  choices: z.array(z.string()).optional(),
  required: z.boolean(),
  default: z.unknown().optional().describe("What is taken where the field is left empty,"),
  otherwise: z.string().optional().describe("or that in words, where it depends."),
});

export type FormField = z.infer<typeof FormFieldJson>;

/** The fields of a model's form. */
export function formFields(offer: Offer): FormField[] {
  const { makes, levels } = offer.model;
  const isOf = {
    pictures: makes === "pictures",
    videos: makes === "videos",
    nested: levels.length > 1,
  };
  return PARAMETER_ENTRIES.flatMap(([name, parameter]) => {
    const { field, names: { native } } = parameter;
    if (field === undefined || native === undefined) return [];
    if (field.of !== undefined && !isOf[field.of]) return [];
    return [fieldOf(native, name, parameter, offer)];
  });
}

function fieldOf(
  native: string,
  name: ParameterName,
  parameter: Parameter,
  offer: Offer,
): FormField {
  const { type, description, field, otherwise } = parameter;
  const { label = native, required = false } = field ?? {};
  const standard = type.kind === "size" ? offer.model.levels[0]?.width : defaultOf(name, offer);
  return {
    name: native,
    label: typeof label === "string" ? label : label[offer.model.makes],
    description,
    required,
    ...standard !== undefined && { default: standard },
    ...otherwise !== undefined && { otherwise },
    ...inputOf(type, offer),
  };
}

/** What is typed, and what may be. */
function inputOf(
  type: ParameterType,
  offer: Offer,
): Pick<FormField, "kind" | "min" | "max" | "step" | "pattern" | "choices"> {
  switch (type.kind) {
    case "text":
      return { kind: "text", max: offer.limits.promptLength };
    case "integer":
      return { kind: "number", min: type.min, max: mostOf(type, offer), step: 1 };
    case "number":
      return { kind: "number", min: type.min, max: type.max, step: "any" };
    case "size":
      return { kind: "number", min: 1, max: largestSize(offer), step: 1 };
    case "boolean":
      return { kind: "boolean" };
    case "choice":
      return { kind: "choice", choices: Object.keys(choicesIn(type, "native")) };
    case "format":
      return { kind: "choice", choices: [...formatsOf(offer.model)] };
    case "seed":
      return { kind: "digits", pattern: SEED_PATTERN };
    case "interval":
    case "cache":
      throw new Error(`The form has no fields of the kind ${type.kind}`);
  }
}

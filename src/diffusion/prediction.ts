/** From what the network predicts to an estimate of the image. */
import type { PredictionType } from "./config.ts";

/** x0 = x0FromLatent x_t + x0FromPrediction prediction. */
export interface PredictionCoefficients {
  x0FromLatent: number;
  x0FromPrediction: number;
}

/**
 * @param gamma Share of signal at the timestep of x_t, above 0 and below 1.
 */
export function predictionCoefficients(
  type: PredictionType,
  gamma: number,
): PredictionCoefficients {
  switch (type) {
    case "EPSILON":
      return {
        x0FromLatent: 1 / Math.sqrt(gamma),
        x0FromPrediction: -Math.sqrt((1 - gamma) / gamma),
      };
    case "V_PREDICTION":
      return { x0FromLatent: Math.sqrt(gamma), x0FromPrediction: -Math.sqrt(1 - gamma) };
    default:
      return type satisfies never;
  }
}

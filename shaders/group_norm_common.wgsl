// What both ways of computing GroupNorm share: merging statistics, and what is left to do to each channel.

// Mean and sum of squared deviations of `n` numbers.
struct Moments { mean: f32, squares: f32 }

// Merges the statistics of a row's group, whose first channel is given (Chan et al.). They come in blocks of parts, such as a channel's
// chunks: from firstBlock to before endBlock. Needs partsOf(block), partAt(row, channel, block, part) and countOf(block, part).
fn merge(row: u32, channel: u32, firstBlock: u32, endBlock: u32, n: f32) -> Moments {
  // Taken from the first mean on, so that sums of many large means cost no digits either.
  let start = partAt(row, channel, firstBlock, 0u).mean;
  var offset = 0.0;
  for (var block = firstBlock; block < endBlock; block++) {
    for (var part = 0u; part < partsOf(block); part++) {
      offset += (partAt(row, channel, block, part).mean - start) * (countOf(block, part) / n);
    }
  }
  let mean = start + offset;
  var squares = 0.0;
  for (var block = firstBlock; block < endBlock; block++) {
    for (var part = 0u; part < partsOf(block); part++) {
      let known = partAt(row, channel, block, part);
      let d = known.mean - mean;
      squares += known.squares + countOf(block, part) * d * d;
    }
  }
  return Moments(mean, squares);
}

// Scale and shift of a channel, given its scale before film.
fn affineOf(row: u32, channel: u32, channels: u32, mean: f32, normScale: f32) -> vec2f {
  var scale = normScale;
  var shift = bias[channel] - mean * scale;
  if (params.useFilm != 0u) {
    let at = row / params.filmRepeat * params.filmStride + params.filmOffset + channel;
    let gain = 1.0 + film[at];
    scale *= gain;
    shift = shift * gain + film[at + channels];
  }
  return vec2f(scale, shift);
}

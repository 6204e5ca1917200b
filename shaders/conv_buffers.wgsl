// The buffers of every convolution algorithm, of vectors of WIDTH output channels. HALF: weights are kept in 16 bits.

alias Channels = vec${WIDTH}f;

#if HALF
#if NARROW
alias Stored = u32;
fn widened(stored: Stored) -> Channels { return unpack2x16float(stored); }
#else
alias Stored = vec2u;
fn widened(stored: Stored) -> Channels { return vec4f(unpack2x16float(stored.x), unpack2x16float(stored.y)); }
#end
#else
alias Stored = Channels;
fn widened(stored: Stored) -> Channels { return stored; }
#end

@group(0) @binding(1) var<storage, read> weight: array<Stored>;
@group(0) @binding(2) var<storage, read> bias: array<Channels>;
@group(0) @binding(3) var<storage, read_write> input0: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> gate: array<Channels>;
@group(0) @binding(5) var<storage, read_write> residual: array<Channels>;
@group(0) @binding(6) var<storage, read_write> output: array<Channels>;
#if CONCAT
@group(0) @binding(7) var<storage, read_write> input1: array<vec4f>;
#end

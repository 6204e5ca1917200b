// What the host writes for each image before a step: all that makes one image's step differ from another's.
struct Slot {
  tableRow: u32,  // its step's row in the tables
  draw: u32,      // how often it drew noise before
  seedLow: u32,
  seedHigh: u32,
  guidance: f32,
  unused0: u32,
  unused1: u32,
  unused2: u32,
}

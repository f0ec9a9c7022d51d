// Counts lines, words and bytes of the input, of any length.
import { input_read, output_write } from "../kapsule";

export { kapsule_abi_version } from "../kapsule";

const PAGE: u32 = 4096;

function isSpace(byte: u8): bool {
  return byte == 32 || (byte >= 9 && byte <= 13);
}

export function run(): i32 {
  const page = new Uint8Array(PAGE);
  let lines: u64 = 0;
  let words: u64 = 0;
  let bytes: u64 = 0;
  let inWord = false;
  for (;;) {
    const count = input_read(bytes, page.dataStart, PAGE);
    if (count <= 0) break;
    for (let at = 0; at < count; at++) {
      const byte = page[at];
      if (byte == 10) lines++;
      const space = isSpace(byte);
      if (!inWord && !space) words++;
      inWord = !space;
    }
    bytes += count;
  }
  const text = String.UTF8.encode(lines.toString() + " " + words.toString() + " " + bytes.toString() + "\n");
  output_write(changetype<usize>(text), text.byteLength);
  return 0;
}

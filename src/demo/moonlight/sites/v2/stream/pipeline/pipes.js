/** The pipes that a stream of media goes through. */
const PIPES = ["depacketize", "decode", "render"];

export function describePipes() {
  return PIPES.join(", ");
}

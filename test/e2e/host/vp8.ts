/**
 * VP8 without an encoder of video: a lossy WebP file is one VP8 key frame in a RIFF container, so a stream of
 * pictures is a stream of key frames.
 */
import sharp from "sharp";

/** Three bytes a pixel, row by row. */
export interface Picture {
  width: number;
  height: number;
  rgb: Buffer;
}

/** Below the MTU with all headers of RTP, SRTP and UDP. */
const MAX_FRAGMENT_BYTES = 1_100;

export async function encodeKeyFrame({ width, height, rgb }: Picture): Promise<Buffer> {
  const webp = await sharp(rgb, { raw: { width, height, channels: 3 } })
    .webp({ quality: 80, effort: 0 })
    .toBuffer();
  // RIFF, its length, WEBP; then chunks: name, length, content padded to an even length.
  for (let at = 12; at + 8 <= webp.length;) {
    const length = webp.readUInt32LE(at + 4);
    if (webp.toString("latin1", at, at + 4) === "VP8 ") return webp.subarray(at + 8, at + 8 + length);
    at += 8 + length + (length % 2);
  }
  throw new Error("no VP8 in the WebP file");
}

/** RTP payloads of one frame (RFC 7741 §4.2): one byte of descriptor, S on the first. */
export function fragmentsOf(frame: Buffer): Buffer[] {
  const fragments: Buffer[] = [];
  for (let at = 0; at < frame.length; at += MAX_FRAGMENT_BYTES) {
    const descriptor = Buffer.of(at === 0 ? 0x10 : 0x00);
    fragments.push(Buffer.concat([descriptor, frame.subarray(at, at + MAX_FRAGMENT_BYTES)]));
  }
  return fragments;
}

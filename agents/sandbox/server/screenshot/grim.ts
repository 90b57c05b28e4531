/**
 * One capture of the desktop. grim's PPM is three times cheaper than its PNG, and sharp makes a PNG of it sooner than grim
 * makes its own, so all frames are PPM; only where there is no sharp they are grim's PNG.
 */
import type { Display } from "../desktop/display.ts";
import { Failure, messageOf } from "../errors.ts";
import { CAPTURE_TIMEOUT_MS, MAX_PICTURE_BYTES } from "../limits.ts";
import type { Programs } from "../desktop/programs.ts";

export type FrameKind = "png" | "ppm";

/** The cursor is in the picture. @throws Failure 500 while the display is not up */
export async function captureWithGrim(
  programs: Programs,
  display: Display,
  kind: FrameKind,
): Promise<Buffer> {
  try {
    return await display.tryEach((socket) =>
      programs.run("grim", ["-c", "-t", kind, "-"], {
        env: display.environment(socket),
        timeoutMs: CAPTURE_TIMEOUT_MS,
        maxOutputBytes: MAX_PICTURE_BYTES,
      }),
    );
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(500, `Failed to capture screenshot: ${messageOf(error)}`, { cause: error });
  }
}

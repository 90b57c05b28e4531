/** A target that sends half of its response and holds the rest back until the test lets it go. */
import { startRawTarget } from "./raw-target.ts";
import type { RawRequest, RawTarget } from "./raw-target.ts";

export const HALF: string = "x".repeat(50);

const HEADS: Readonly<Record<string, { first: string; rest: string }>> = {
  "/length": { first: `HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n${HALF}`, rest: HALF },
  "/chunked": {
    first: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n32\r\n${HALF}\r\n`,
    rest: `32\r\n${HALF}\r\n0\r\n\r\n`,
  },
  "/late": { first: "", rest: `HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n${HALF}${HALF}` },
};

export interface HalfResponses extends RawTarget {
  /** Sends the rest of the latest response. */
  finish(): void;
}

/**
 * Serves `/length` and `/chunked`, which begin with {@link HALF}, and `/late`, which begins with nothing.
 *
 * @param onRequest every request, also those to other paths
 */
export async function startHalfResponses(
  onRequest: (path: string, request: RawRequest) => void = () => {},
): Promise<HalfResponses> {
  let finish = (): void => {};
  const target = await startRawTarget((request) => {
    const [, path = ""] = request.head.split(" ", 2);
    const half = HEADS[path];
    if (half !== undefined) {
      const { socket } = request;
      if (half.first !== "") socket.write(half.first);
      finish = () => void socket.write(half.rest);
    }
    onRequest(path, request);
  });
  return Object.assign(target, { finish: () => finish() });
}

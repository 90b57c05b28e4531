/** The error code for a caller's stream when an HTTP/2 target has reset its own. */
import { constants } from "node:http2";

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM } =
  constants;

/**
 * Codes about the connection to the target mean nothing to the caller and become INTERNAL_ERROR.
 *
 * @param isBegun the response has begun: REFUSED_STREAM would then be wrong (RFC 9113 §8.7)
 */
export function callerResetCode(code: number | undefined, isBegun: boolean): number {
  if (code === NGHTTP2_CANCEL || code === NGHTTP2_ENHANCE_YOUR_CALM) return code;
  if (code === NGHTTP2_REFUSED_STREAM && !isBegun) return code;
  return NGHTTP2_INTERNAL_ERROR;
}

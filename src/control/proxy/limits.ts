/** Bounds of how content passes, with their reasons. */

/** Pieces of content below this are joined, those of one turn up to {@link JOINED_PIECE_BYTES}: what one costs besides its bytes
 * is then small against them. */
export const SMALL_PIECE_BYTES = 1_024;
export const JOINED_PIECE_BYTES: number = 16 * 1024;

/** A chunked request whose content has not begun by then has its header sent to an HTTP/1.1 target without it: the target may
 * respond first. Content that follows its header at once is in one packet with it. */
export const LATE_CONTENT_MS = 50;

/** Bounds of how content passes, with their reasons. */

/** Pieces of content below this are joined, those of one turn up to {@link JOINED_PIECE_BYTES}: what one costs besides its bytes
 * is then small against them. */
export const SMALL_PIECE_BYTES = 1_024;
export const JOINED_PIECE_BYTES: number = 16 * 1024;

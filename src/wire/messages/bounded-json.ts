/** JSON of a peer. V8 takes 700 ms for a million brackets: what nests deeper than any message of ours is refused before. */

const MAX_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** @throws SyntaxError if it is not JSON, or nested too deeply */
export function parseBoundedJson(text: string): unknown {
  if (text.length > MAX_DEPTH && isTooDeep(text)) throw new SyntaxError("JSON is nested too deeply");
  return JSON.parse(text);
}

function isTooDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) {
      inString = true;
    } else if (code === 0x5b || code === 0x7b) {
      depth += 1;
      if (depth > MAX_DEPTH) return true;
    } else if (code === 0x5d || code === 0x7d) {
      depth -= 1;
    }
  }
  return false;
}

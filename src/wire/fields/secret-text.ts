/** Recognises a secret where the name of its file belongs: `--token-file $(cat token)`. No message may then print it. */

/** As `turnabout token` makes it, perhaps at the end of a path that was made absolute, perhaps with a line after it. */
const TOKEN = /(?:^|[\s/\\])ta_[\w-]{32,}(?:\s|$)/;

/** What the text is instead of a file's name, in words without any part of it. Undefined: it may be a name. */
export function inPlaceOfFile(text: string): string | undefined {
  if (TOKEN.test(text)) return "this is a token, not a file";
  return text.includes("-----BEGIN ") ? "this is a certificate or a key, not a file" : undefined;
}

export const FILE_NAME_HINT = "give the name of the file, and not what is in it";

/** Which paths the control plane serves itself, from what is mounted: the first segment decides. */
export class OwnPaths {
  readonly #basePath: string;
  readonly #prefixes: ReadonlySet<string>;

  /** @param mounted paths or path templates, below the base path */
  constructor(basePath: string, mounted: readonly string[]) {
    this.#basePath = basePath;
    this.#prefixes = new Set(mounted.map(prefixOf));
  }

  /** @param url path and query */
  has(url: string): boolean {
    return url.startsWith(this.#basePath) && this.#prefixes.has(prefixOf(url.slice(this.#basePath.length)));
  }
}

/** The first segment; below `/.well-known`, which others share, the first two (RFC 8615). */
function prefixOf(path: string): string {
  return /^\/(?:\.well-known\/)?[^/?]+/.exec(path)?.[0] ?? "";
}

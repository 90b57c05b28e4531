/** The paths that the control plane serves, found by their first segment: made from the mounted routes. */
export class OwnPaths {
  readonly #basePath: string;
  readonly #prefixes: ReadonlySet<string>;
  readonly #hasRoot: boolean;

  /** @param mounted paths or path templates, below the base path */
  constructor(basePath: string, mounted: readonly string[]) {
    this.#basePath = basePath;
    this.#prefixes = new Set(mounted.map(prefixOf).filter((prefix) => prefix !== ""));
    this.#hasRoot = mounted.includes("/");
  }

  /** @param url path and query */
  has(url: string): boolean {
    if (!url.startsWith(this.#basePath)) return false;
    const rest = url.slice(this.#basePath.length);
    if (this.#hasRoot && /^\/(?:\?|$)/.test(rest)) return true;
    return this.#prefixes.has(prefixOf(rest));
  }
}

/** The first segment, or two below `/.well-known`, which is shared with other applications (RFC 8615). */
function prefixOf(path: string): string {
  return /^\/(?:\.well-known\/)?[^/?]+/.exec(path)?.[0] ?? "";
}

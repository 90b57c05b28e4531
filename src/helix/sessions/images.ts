/** Which container images a session may name. An image runs beside everybody's sandboxes: users choose what was allowed. */
import { TurnaboutError } from "../../wire/errors.ts";
import { matchesPattern } from "../../control/extension.ts";
import type { Identity } from "../../control/extension.ts";

/** The grammar of distribution/reference: `[domain/]path[:tag][@digest]`. */
const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const DIGEST = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
const REFERENCE = new RegExp(`^((?:${DOMAIN}/)?${COMPONENT}(?:/${COMPONENT})*)(?::${TAG})?(?:@${DIGEST})?$`);

/** Of the name, without tag and digest. */
const MAX_NAME_LENGTH = 255;
const MAX_REFERENCE_LENGTH = 1_000;

export function isImageReference(image: string): boolean {
  if (image.length > MAX_REFERENCE_LENGTH) return false;
  const name = REFERENCE.exec(image)?.[1];
  return name !== undefined && name.length <= MAX_NAME_LENGTH;
}

export class ImageRules {
  readonly #defaultImage: string;
  readonly #allowed: readonly string[];

  /**
   * @param allowed patterns of images that users may name besides the default one; `*` stands for any characters
   * @throws TurnaboutError `config_invalid` if the default is no reference
   */
  constructor(defaultImage: string, allowed: readonly string[] = []) {
    if (!isImageReference(defaultImage)) {
      throw new TurnaboutError(
        "config_invalid",
        `sandbox image ${JSON.stringify(defaultImage)}: not a reference like name:tag or registry/name:tag`,
      );
    }
    this.#defaultImage = defaultImage;
    this.#allowed = allowed;
  }

  /** @throws TurnaboutError `bad_request`, `not_allowed` */
  check(identity: Identity, image: string | undefined): void {
    if (image === undefined) return;
    if (!isImageReference(image)) {
      throw new TurnaboutError("bad_request", "create session: not an image reference", {
        details: ["image: not a container image reference"],
      });
    }
    const isAllowed =
      identity.mayAdminister ||
      image === this.#defaultImage ||
      this.#allowed.some((pattern) => matchesPattern(pattern, image));
    if (isAllowed) return;
    throw new TurnaboutError("not_allowed", `${identity.id} may not choose the image ${image}`, {
      details: ["image: not one that the operator allows users to request"],
    });
  }
}

/** A decoder in WebAssembly that is part of its script, as the real one is. This one is an empty module. */
const MODULE = "AGFzbQEAAAA=";

export function loadOpus() {
  return WebAssembly.instantiate(Uint8Array.from(atob(MODULE), (character) => character.charCodeAt(0)));
}

/** A picture with a name, to be clicked. */
export function tile(kind, { name, image, onClick }) {
  const button = document.createElement("button");
  button.className = `tile ${kind}`;
  const picture = document.createElement("img");
  picture.src = image;
  picture.alt = "";
  button.append(picture, name);
  button.addEventListener("click", onClick);
  return button;
}

// The meaning of a term is shown by the style sheet, also where a key brings the focus to it.
document.addEventListener("DOMContentLoaded", () => {
  for (const link of document.querySelectorAll("a.glossary-term[title]")) {
    link.dataset.meaning = link.title;
    link.removeAttribute("title");
  }
});

// On paper nothing can be unfolded.
addEventListener("beforeprint", () => {
  for (const more of document.querySelectorAll("details.more-rows")) more.open = true;
});

// Figures are enlarged on click, or by Enter where they have the focus.
document.addEventListener("DOMContentLoaded", () => {
  const figures = document.querySelectorAll("figure:not(.captioned-table) img");
  if (!figures.length) return;
  const dialog = document.createElement("dialog");
  dialog.className = "enlarged";
  dialog.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  for (const image of figures) {
    image.classList.add("enlarges");
    image.tabIndex = 0;
    image.setAttribute("role", "button");
    image.setAttribute("aria-label", `Enlarge: ${image.alt}`);
    const enlarge = () => {
      const copy = document.createElement("img");
      copy.src = image.src;
      copy.alt = image.alt;
      dialog.replaceChildren(copy);
      dialog.showModal();
    };
    image.addEventListener("click", enlarge);
    image.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        enlarge();
      }
    });
  }
});

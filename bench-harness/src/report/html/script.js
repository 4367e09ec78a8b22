// Without this the page says all the same: it lets one contender stand out, and hides others.
for (const figure of document.querySelectorAll(".plot")) {
  const items = [...figure.querySelectorAll(".legend .series")];
  const drawn = [...figure.querySelectorAll("svg g.series")];
  const light = (name) => {
    figure.classList.toggle("lit-one", name !== null);
    [...items, ...drawn].forEach((one) => one.classList.toggle("lit", one.dataset.name === name));
  };
  for (const one of [...items, ...drawn]) {
    one.addEventListener("pointerenter", () => light(one.dataset.name));
    one.addEventListener("pointerleave", () => light(null));
  }
  for (const item of items) {
    const turn = () => {
      const shown = item.getAttribute("aria-pressed") === "false";
      item.setAttribute("aria-pressed", String(shown));
      const mine = drawn.filter((one) => one.dataset.name === item.dataset.name);
      mine.forEach((one) => one.classList.toggle("off", !shown));
    };
    item.setAttribute("role", "button");
    item.setAttribute("aria-pressed", "true");
    item.setAttribute("title", "Show or hide");
    item.tabIndex = 0;
    item.addEventListener("click", turn);
    item.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        turn();
      }
    });
  }
}

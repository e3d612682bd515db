"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const tip = document.getElementById("tip");

  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const nameButton = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    nameButton();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameButton);
  nameButton();

  document.addEventListener("change", (event) => {
    if (event.target.type !== "radio") return;
    root.dataset.colour = event.target.value;
    for (const radio of document.querySelectorAll("input[type=radio]")) radio.checked = radio.value === event.target.value;
  });

  const unmark = () => { for (const box of document.querySelectorAll(".path .at")) box.classList.remove("at"); };
  const hide = () => { tip.hidden = true; unmark(); };
  const said = (token) => {
    const { l, s, c, v } = token.dataset;
    const parts = [s ? `unchanged since layer ${s}, left at layer ${l}` : `left at layer ${l}`];
    parts.push(c ? `confidence ${c} %` : "confidence not kept for this text");
    if (token.classList.contains("copied")) parts.push("copied from the source");
    if (v) parts.push(`canvas position ${v} of 0 to ${token.parentElement.dataset.last}`);
    return parts.join("\n");
  };
  const show = (token) => {
    unmark();
    const boxes = token.closest(".output").querySelectorAll(".path rect");
    boxes[[...token.parentElement.children].indexOf(token)]?.classList.add("at");
    tip.textContent = said(token);
    tip.hidden = false;
    const box = token.getClientRects()[0], own = tip.getBoundingClientRect();
    const left = Math.max(4, Math.min(box.left + box.width / 2 - own.width / 2, root.clientWidth - own.width - 4));
    const above = box.top - own.height - 6;
    tip.style.left = `${left}px`;
    tip.style.top = `${above < 4 ? box.bottom + 6 : above}px`;
  };
  const tokenOf = (event) => event.target.closest?.(".t");
  // One stop for the tab key in each output; the arrow keys go on from there.
  for (const group of document.querySelectorAll(".tokens")) {
    [...group.children].forEach((token, place) => {
      token.tabIndex = place ? -1 : 0;
      token.setAttribute("aria-describedby", "tip");
    });
  }
  const enter = (event) => { const token = tokenOf(event); if (token) show(token); };
  document.addEventListener("mouseover", enter);
  document.addEventListener("focusin", enter);
  document.addEventListener("mouseout", (event) => { if (tokenOf(event)) hide(); });
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("click", (event) => {
    const token = tokenOf(event);
    if (token) { token.focus({ preventScroll: true }); show(token); } else hide();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const token = tokenOf(event), step = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
    const next = token && step && token[step];
    if (!next) return;
    event.preventDefault();
    token.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
})();

const all = (selector, act) => document.querySelectorAll(selector).forEach(act);
const unfold = () => document.getElementById(location.hash.slice(1))?.closest("details")?.setAttribute("open", "");
// A table too wide for a phone becomes a list; what can be scrolled can be by the keyboard as well.
const fit = () => all(".table-scroll, pre", box => {
  box.classList.remove("list");
  if (innerWidth <= 640 && box.scrollWidth > box.clientWidth) box.classList.add("list");
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
});
const close = but => all("nav.pages details[open]", menu => { if (!menu.contains(but)) menu.open = false; });
addEventListener("hashchange", unfold);
addEventListener("resize", fit);
document.addEventListener("toggle", fit, true);
document.addEventListener("click", event => close(event.target));
document.addEventListener("keydown", event => { if (event.key === "Escape") close(null); });
document.getElementById("all-code")?.addEventListener("change", event => {
  all("details.code", code => { code.open = event.target.checked; });
});
all("table", table => {
  const labels = [...table.rows[0].cells].map(head => head.textContent);
  for (const row of table.rows) [...row.cells].forEach((cell, i) => { cell.dataset.label = labels[i]; });
});
if (innerWidth <= 640) all(".contents details", list => { list.open = false; });
unfold();
fit();

const unfold = () => document.getElementById(location.hash.slice(1))?.closest("details")?.setAttribute("open", "");
addEventListener("hashchange", unfold);
unfold();
document.querySelector("nav .here").scrollIntoView({inline: "center", block: "nearest"});
document.getElementById("all-code")?.addEventListener("change", event => {
  document.querySelectorAll("details.code").forEach(code => { code.open = event.target.checked; });
});

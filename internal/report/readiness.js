"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const articles = Array.from(document.querySelectorAll("article.cluster"));
  const rows = Array.from(document.querySelectorAll("#matrix tbody tr"));
  const form = find("filter");
  const [text, verdict, check] = ["text", "verdict", "check"].map(find);

  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    articles.forEach((at, i) => {
      const is = at.dataset;
      const fits = words.every((w) => is.search.includes(w)) &&
        (!verdict.value || is.verdict === verdict.value) &&
        (!check.value || is.wanting.split("\n").includes(check.value));
      at.hidden = !fits;
      rows[i].hidden = !fits;
      shown += fits ? 1 : 0;
    });
    find("shown").value = shown === articles.length ? `${shown} clusters` : `${shown} of ${articles.length} clusters`;
    find("nothing").hidden = shown > 0 || articles.length === 0;
  };

  const setOpen = (open) => {
    for (const at of articles) {
      if (!at.hidden) at.querySelector("details").open = open;
    }
  };

  find("expand").addEventListener("click", () => setOpen(true));
  find("collapse").addEventListener("click", () => setOpen(false));
  form.addEventListener("input", filter);
  form.addEventListener("submit", (e) => e.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));

  // A link from the matrix opens its cluster.
  const follow = () => {
    const at = articles.find((a) => "#" + a.id === location.hash);
    if (!at) return;
    at.hidden = false;
    at.querySelector("details").open = true;
    at.scrollIntoView();
  };
  addEventListener("hashchange", follow);

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = articles.filter((a) => !a.hidden && !a.querySelector("details").open);
    for (const at of closed) at.querySelector("details").open = true;
  });
  addEventListener("afterprint", () => {
    for (const at of closed) at.querySelector("details").open = false;
    closed = [];
  });

  form.hidden = false;
  filter();
  follow();
})();

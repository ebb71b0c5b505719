"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const clusters = Array.from(document.querySelectorAll("article.cluster"), (at) => ({ at, details: at.querySelector("details"), is: at.dataset }));
  const form = find("filter");
  const [text, verdict, version, finding] = ["text", "verdict", "version", "finding"].map(find);
  let sideBySide = false;

  // Every word must be in the name, the id or one label.
  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const c of clusters) {
      const fits = words.every((w) => c.is.search.includes(w)) &&
        (!verdict.value || c.is.verdict === verdict.value) &&
        (!version.value || c.is.version === version.value) &&
        (!finding.value || c.is.findings.split("\n").includes(finding.value));
      c.at.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    find("shown").value = shown === clusters.length ? `${shown} clusters` : `${shown} of ${clusters.length} clusters`;
    find("nothing").hidden = shown > 0 || clusters.length === 0;
  };

  const linesOf = (node) => node.textContent.replace(/\n$/, "").split("\n");

  const cell = (row, line) => {
    const td = row.insertCell();
    td.textContent = line ?? "";
    td.className = line === undefined ? "void" : line[0] === "+" ? "ins" : line[0] === "-" ? "del" : "";
  };

  // The table of a piece of a diff is made from its lines, which stay.
  const tableOf = (pre) => {
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const title of ["Now", "Planned"]) {
      const th = document.createElement("th");
      th.scope = "col";
      th.textContent = title;
      head.append(th);
    }
    const body = table.createTBody();
    let removed = [], added = [];
    const flush = () => {
      for (let i = 0; i < Math.max(removed.length, added.length); i++) {
        const row = body.insertRow();
        cell(row, removed[i]);
        cell(row, added[i]);
      }
      removed = [];
      added = [];
    };
    for (const node of pre.childNodes) {
      if (node.nodeName === "DEL") {
        removed.push(...linesOf(node));
      } else if (node.nodeName === "INS") {
        added.push(...linesOf(node));
      } else {
        flush();
        for (const line of linesOf(node)) {
          const row = body.insertRow();
          cell(row, line);
          cell(row, line);
        }
      }
    }
    flush();
    return table;
  };

  // Only open clusters have both views; the others get theirs when they open.
  const layOut = (c) => {
    for (const pre of c.at.querySelectorAll(".diff > pre")) {
      const table = pre.nextElementSibling?.nodeName === "TABLE" ? pre.nextElementSibling : null;
      if (sideBySide && !table) pre.after(tableOf(pre));
      if (!sideBySide && table) table.remove();
      pre.hidden = sideBySide;
    }
  };

  const setOpen = (open) => {
    for (const c of clusters) {
      if (!c.at.hidden) c.details.open = open;
    }
  };

  for (const c of clusters) c.details.addEventListener("toggle", () => { if (c.details.open) layOut(c); });
  find("split").addEventListener("click", (e) => {
    sideBySide = !sideBySide;
    e.currentTarget.setAttribute("aria-pressed", String(sideBySide));
    for (const c of clusters) {
      if (c.details.open) layOut(c);
    }
  });
  find("expand").addEventListener("click", () => setOpen(true));
  find("collapse").addEventListener("click", () => setOpen(false));
  form.addEventListener("input", filter);
  form.addEventListener("submit", (e) => e.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));

  // A link to a closed cluster opens it, also when the filter had hidden it.
  const follow = () => {
    const c = clusters.find((c) => "#" + c.at.id === location.hash);
    if (!c) return;
    c.at.hidden = false;
    c.details.open = true;
    c.at.scrollIntoView();
  };
  addEventListener("hashchange", follow);

  // Printing shows every cluster; what was closed is closed again.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = clusters.filter((c) => !c.at.hidden && !c.details.open);
    for (const c of closed) {
      c.details.open = true;
      layOut(c);
    }
  });
  addEventListener("afterprint", () => {
    for (const c of closed) c.details.open = false;
    closed = [];
  });

  form.hidden = false;
  filter();
  follow();
})();

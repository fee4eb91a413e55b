"use strict";
// Adds to a page that can be read whole without it: search, filters, sorting, the theme, and open details on paper.
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const remembered = {
    get() { try { return localStorage.getItem("bq-monitor-theme"); } catch { return null; } },
    set(value) { try { localStorage.setItem("bq-monitor-theme", value); } catch { /* a page from a disk may not remember */ } },
  };

  const theme = document.getElementById("theme");
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const showTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `Show in ${isDark() ? "light" : "dark"} colours`); };
  if (["light", "dark"].includes(remembered.get())) root.dataset.theme = remembered.get();
  theme.hidden = false;
  showTheme();
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; remembered.set(root.dataset.theme); showTheme(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);

  const table = document.getElementById("table");
  if (table) features(table);

  const reach = new ResizeObserver((changes) => changes.forEach(({ target }) => {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0; else target.removeAttribute("tabindex");
  }));
  all(".scroll").forEach((item) => reach.observe(item));

  let opened = [];
  addEventListener("beforeprint", () => { opened = all("details:not([open])"); opened.forEach((item) => { item.open = true; }); });
  addEventListener("afterprint", () => { opened.forEach((item) => { item.open = false; }); opened = []; });

  function features(table) {
    const rows = all("tbody.feature", table);
    const search = document.getElementById("search");
    const filters = all("[data-show]");
    const told = document.getElementById("shown");
    document.querySelector(".controls").hidden = false;
    let status = "";

    const folded = (text) => text.normalize("NFKC").toLowerCase();
    const words = new Map(rows.map((row) => [row, folded(row.querySelector("tr.head").textContent)]));
    const show = () => {
      const wanted = folded(search.value.trim());
      let n = 0;
      for (const row of rows) {
        const fits = (!status || row.dataset.status === status) && words.get(row).includes(wanted);
        row.hidden = !fits;
        n += fits ? 1 : 0;
      }
      told.textContent = `${n} of ${rows.length} shown`;
      document.getElementById("nothing").hidden = n > 0;
    };
    search.addEventListener("input", show);
    for (const button of filters) {
      button.addEventListener("click", () => {
        status = button.dataset.show;
        filters.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
        show();
      });
    }

    const order = ["drift", "ok", "not_evaluated", "excluded"];
    const value = (row, place, kind) => {
      if (kind === "status") return order.indexOf(row.dataset.status);
      const cell = row.querySelector("tr.head").children[place];
      if (kind === "text") return folded(cell.textContent);
      const data = cell.querySelector("data");
      return data ? Number(data.value) : null;
    };
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
    all("th[data-sort]", table).forEach((head) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const place = [...head.parentNode.children].indexOf(head);
        const first = head.dataset.sort === "number" ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const way = head.getAttribute("aria-sort") === first ? other : first;
        all("th[aria-sort]", table).forEach((item) => item.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", way);
        const keyed = rows.map((row) => [value(row, place, head.dataset.sort), row]);
        keyed.sort(([a, x], [b, y]) => {
          if (a === null || b === null) return (a === null) - (b === null) || x.dataset.place - y.dataset.place;
          return (way === "ascending" ? compare(a, b) : compare(b, a)) || x.dataset.place - y.dataset.place;
        });
        table.append(...keyed.map(([, row]) => row));
      });
    });

    for (const row of rows) {
      row.querySelector("tr.head").addEventListener("click", (event) => {
        if (event.target.closest("a, button, summary") || String(getSelection())) return;
        const details = row.querySelector("details");
        details.open = !details.open;
      });
    }
    show();
  }
})();

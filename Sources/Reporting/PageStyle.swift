/// How a report's page looks and sorts, in light and dark and on a phone.
enum PageStyle {
  static let css = """
    :root { --text: #1c1c1e; --page: #ffffff; --soft: #5b5b60; --line: #d5d5da; --band: #f4f4f6; --link: #0062a3; }
    @media (prefers-color-scheme: dark) {
      :root { --text: #e6e6ea; --page: #17181b; --soft: #a5a5ad; --line: #3c3d43; --band: #212227; --link: #7cc0f5; }
    }
    * { box-sizing: border-box; }
    body { margin: 0; color: var(--text); background: var(--page); font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
    h1 { margin: 0 0 .25rem; font-size: 1.7rem; overflow-wrap: anywhere; }
    h2 { margin: 2.5rem 0 .75rem; font-size: 1.3rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
    h3 { margin: 0 0 .5rem; font-size: 1.05rem; }
    .lead { margin: 0; color: var(--soft); }
    .scroll { overflow-x: auto; }
    table { border-collapse: collapse; font-size: .88rem; min-width: 100%; }
    th, td { padding: .35rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
    th { padding: 0; background: var(--band); vertical-align: bottom; }
    th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: .35rem .6rem; width: 100%;
      text-align: left; cursor: pointer; }
    th button:focus-visible { outline: 2px solid var(--link); outline-offset: -2px; }
    th[aria-sort=ascending] button::after { content: " \\25B2"; }
    th[aria-sort=descending] button::after { content: " \\25BC"; }
    td.number { font-variant-numeric: tabular-nums; }
    td.short { white-space: nowrap; }
    /* On a phone a row is a card, with each cell's heading beside it. */
    @media (max-width: 40rem) {
      thead { display: none; }
      table, tbody, tr, td { display: block; }
      tr { border: 1px solid var(--line); border-radius: .4rem; padding: .3rem 0; margin-bottom: .6rem; }
      td, td.short { display: flex; gap: .8rem; border: 0; padding: .15rem .7rem; white-space: normal; overflow-wrap: anywhere; }
      td::before { content: attr(data-label); flex: 0 0 44%; color: var(--soft); }
      td:empty { display: none; }
    }
    .notes { color: var(--soft); font-size: .85rem; padding-left: 1.2rem; overflow-wrap: anywhere; }
    figure { margin: 0 0 2.5rem; }
    figure svg { display: block; width: 100%; min-width: 34rem; max-width: 48rem; height: auto; color: var(--text); }
    figcaption, .note { color: var(--soft); font-size: .88rem; }
    .files { white-space: nowrap; font-family: ui-monospace, monospace; font-size: .8rem; }
    summary { cursor: pointer; margin-bottom: 1rem; font-weight: 600; }
    a { color: var(--link); }
    .data { columns: 14rem; font-size: .9rem; }
    """

  /// A click on a heading sorts by it, a second one the other way; cells without a number come last.
  static let sortingScript = """
    "use strict";
    for (const table of document.querySelectorAll("table")) {
      const headings = Array.from(table.tHead.rows[0].cells);
      headings.forEach((heading, column) => heading.firstChild.addEventListener("click", () => {
        const descending = heading.getAttribute("aria-sort") === "ascending";
        const key = row => {
          const text = row.cells[column].textContent.trim();
          const number = parseFloat(text);
          return { text, number, missing: text === "" || text.startsWith("\\u2013") };
        };
        const rows = Array.from(table.tBodies[0].rows).map(row => ({ row, ...key(row) }));
        rows.sort((a, b) => {
          if (a.missing !== b.missing) return a.missing ? 1 : -1;
          const order = Number.isNaN(a.number) || Number.isNaN(b.number)
            ? a.text.localeCompare(b.text) : a.number - b.number || a.text.localeCompare(b.text);
          return descending ? -order : order;
        });
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        table.tBodies[0].append(...rows.map(entry => entry.row));
      }));
    }
    """
}

"use strict";
// The board's page: a sortable table, one line per score, two systems side by side. Data comes with the page; nothing is fetched.
(() => {
  const board = window.medbenchBoard;
  const DataTable = window.medbenchTables.jQuery.fn.dataTable;
  const replicates = (window.medbenchReplicates = window.medbenchReplicates || {});
  const byId = (name) => document.getElementById(name);
  const signs = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  const escaped = (text) => String(text).replace(/[&<>"']/g, (sign) => signs[sign]);

  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const shade = () => document.documentElement.classList.toggle("dark", scheme.matches);
  scheme.addEventListener("change", shade);
  shade();

  // wide tables are scrolled by themselves, by keyboard too
  const reachable = (name, label) => {
    const box = document.querySelector(`#${name}_wrapper .dt-layout-table`);
    for (const [key, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", label]]) box.setAttribute(key, value);
  };

  // --- cells ---------------------------------------------------------------------------------------------------------
  // a cell is [value, text, interval, low, high, scored, note]; null: not computed

  const hover = (column, cell) => [
    `${column.label}: ${cell[1]} ${cell[2]}`.trim(), `scored ${cell[5]}`, column.convention, board.notes[cell[6]],
  ].filter(Boolean).join("\n");

  const share = (column, value) => Math.max(0, Math.min(100, (100 * (value - column.low)) / (column.high - column.low || 1)));

  // where the interval begins and ends and where the value stands, in per cent of the column's range: the style draws them
  const bar = (column, cell) => {
    if (cell[0] === null) return "";
    const ends = [cell[3] === null ? cell[0] : cell[3], cell[4] === null ? cell[0] : cell[4], cell[0]];
    const [low, high, value] = ends.map((end) => share(column, end).toFixed(1));
    return ` style="--low:${low}%;--high:${high}%;--value:${value}%"`;
  };

  const drawCell = (column, cell) => cell
    ? `<span class="cell"${bar(column, cell)} title="${escaped(hover(column, cell))}"><b>${escaped(cell[1])}</b> ${escaped(cell[2])}</span>`
    : '<span class="absent">not computed</span>';

  // what is not there comes last, whichever way a column is sorted
  const absentLast = (compare) => (a, b) => a === null || b === null ? (a === null) - (b === null) : compare(a, b);
  DataTable.ext.type.order["score-asc"] = absentLast((a, b) => a - b);
  DataTable.ext.type.order["score-desc"] = absentLast((a, b) => b - a);

  const render = (column) => (cell, type) => {
    if (type === "sort" || type === "type") return cell ? cell[0] : null;
    if (type === "filter") return cell ? cell[1] : "";
    return drawCell(column, cell);
  };

  // --- the table -----------------------------------------------------------------------------------------------------

  const drawSystem = (_, type, row) => {
    if (type === "sort") return row.system.toLowerCase();
    if (type !== "display") return `${row.system} ${row.marks.join(" ")}`;
    const name = row.id ? `<a href="entries/${encodeURIComponent(row.id)}.html">${escaped(row.system)}</a>` : escaped(row.system);
    const marks = [...row.marks, row.source].filter(Boolean).map((mark) => `<span class="mark">${escaped(mark)}</span>`);
    if (row.verified) marks.push('<span class="mark good">verified</span>');
    return `<span class="system">${name}</span> ${marks.join(" ")}`;
  };

  const columns = [
    { title: "rank", data: "rank", className: "number", render: (rank, type, row) => type === "sort" ? row.place : escaped(rank) },
    { title: "system", data: null, render: drawSystem },
    ...board.columns.map((column, index) => ({
      title: escaped(column.heading),
      data: (row) => row.cells[index],
      render: render(column),
      className: "score",
      type: "score",
      orderSequence: column.lower ? ["asc", "desc"] : ["desc", "asc"],
    })),
    { title: "scored", data: "scored", className: "number", orderable: false, render: (text, type) => type === "display" ? escaped(text) : text },
    { title: "model", data: "model", visible: false, render: (text, type) => type === "display" ? escaped(text) : text },
    { title: "kind", data: "kind", visible: false, render: (text, type) => type === "display" ? escaped(text) : text },
  ];
  const hidden = { model: columns.length - 2, kind: columns.length - 1 };

  const state = new URLSearchParams(location.hash.slice(1));
  let waiting = 0;
  const save = () => {
    for (const [name, value] of [...state]) if (!value) state.delete(name);
    const text = state.toString();
    byId("here").value = (board.url || location.href.split("#")[0]) + (text ? `#${text}` : "");
    // the browser's own record of the address is slow, and a sort must not wait for it
    clearTimeout(waiting);
    waiting = setTimeout(() => history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search), 200);
  };

  const first = (state.get("sort") || "").split(",");
  const start = performance.now();
  const table = new DataTable("#board", {
    data: board.rows,
    columns,
    deferRender: true,
    autoWidth: false,
    // a sort is drawn at once only where a page holds about as many cells as a screen
    pageLength: board.columns.length > 30 ? 10 : (board.columns.length > 12 ? 25 : 50),
    lengthMenu: [10, 25, 50, 100, 250],
    paging: board.rows.length > 10,
    info: board.rows.length > 10,
    layout: { topStart: "pageLength", topEnd: "search" },
    order: first.length === 2 ? [[Number(first[0]), first[1]]] : [[0, "asc"]],
    search: { search: state.get("q") || "" },
    language: { search: "filter", info: "_START_ to _END_ of _TOTAL_ systems", lengthMenu: "_MENU_ a page", zeroRecords: "no such system" },
    createdRow: (line, row) => { if (!row.id) line.classList.add("reported"); },
    rowGroup: { enable: false, dataSrc: "model", startRender: (rows, group) => document.createTextNode(`${group} (${rows.count()})`) },
  });
  reachable("board", "Systems and scores");
  window.medbenchTimes = { table: performance.now() - start };

  table.on("search.dt", () => { state.set("q", table.search()); save(); });
  table.on("order.dt", () => {
    const [order] = table.order();
    state.set("sort", order && !(order[0] === 0 && order[1] === "asc") ? `${order[0]},${order[1]}` : "");
    save();
  });

  const showKind = () => {
    const kind = byId("kind").value;
    table.column(hidden.kind).search(kind ? `^${kind}$` : "", true, false).draw();
    state.set("kind", kind);
    save();
  };
  const showGroups = () => {
    const group = byId("group").value;
    if (group) table.rowGroup().dataSrc(group).enable();
    else table.rowGroup().disable();
    table.order.fixed(group ? { pre: [[hidden[group], "asc"]] } : { pre: [] });
    table.draw();
    state.set("group", group);
    save();
  };
  byId("kind").addEventListener("change", showKind);
  byId("group").addEventListener("change", showGroups);
  for (const [name, show] of [["kind", showKind], ["group", showGroups]]) {
    if (state.get(name)) { byId(name).value = state.get(name); show(); }
  }

  // --- one line per score, made when it is opened ---------------------------------------------------------------------

  let lines = null;
  const makeLines = () => {
    if (lines) return;
    const data = [];
    for (const row of board.rows) {
      board.columns.forEach((column, index) => {
        if (row.cells[index]) data.push([row.model, column.task, row.system, column.label, row.cells[index], column]);
      });
    }
    const text = (value, type) => type === "display" ? escaped(value) : value;
    lines = new DataTable("#lines", {
      data,
      deferRender: true,
      autoWidth: false,
      pageLength: 50,
      columns: [
        { title: "model", visible: false, render: text }, { title: "task", render: text }, { title: "system", render: text },
        { title: "score", render: text },
        { title: "value", className: "score", type: "score", render: (cell, type, row) => render(row[5])(cell, type) },
        { title: "scored", data: (row) => row[4][5], render: text },
        { title: "convention", data: (row) => row[5].convention, render: text },
      ],
      order: [],
      orderFixed: { pre: [[1, "asc"]] },
      rowGroup: { dataSrc: 1, startRender: (rows, group) => document.createTextNode(`${group} (${rows.count()})`) },
      language: { search: "filter", info: "_START_ to _END_ of _TOTAL_ scores", lengthMenu: "_MENU_ a page" },
      layout: { topStart: "pageLength", topEnd: "search" },
    });
    reachable("lines", "All scores");
  };
  byId("long").addEventListener("toggle", makeLines);
  byId("long-group").addEventListener("change", () => {
    const group = Number(byId("long-group").value);
    lines.rowGroup().dataSrc(group);
    lines.order.fixed({ pre: [[group, "asc"]] });
    lines.draw();
  });

  // --- two systems side by side ---------------------------------------------------------------------------------------

  const load = (id) => new Promise((done, failed) => {
    if (replicates[id]) { done(replicates[id]); return; }
    const script = document.createElement("script");
    script.src = `data/${encodeURIComponent(id)}.js`;
    script.onload = () => done(replicates[id]);
    script.onerror = () => failed(new Error(`no data for ${id}`));
    document.head.append(script);
  });

  const decode = (text) => {
    const raw = atob(text);
    const bytes = Uint8Array.from(raw, (sign) => sign.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  };

  const quantile = (sorted, share) => {
    const place = share * (sorted.length - 1), below = Math.floor(place);
    return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
  };

  // two-sided normal tail (Numerical Recipes, erfcc: relative error below 1.2e-7)
  const tail = (z) => {
    const x = Math.abs(z) / Math.SQRT2, t = 1 / (1 + 0.5 * x);
    return t * Math.exp(-x * x - 1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 +
      t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277)))))))));
  };

  const paired = (one, other, point) => {
    const differences = [];
    for (let i = 0; i < Math.min(one.length, other.length); i += 1) {
      const value = one[i] - other[i];
      if (!Number.isNaN(value)) differences.push(value);
    }
    if (differences.length < 2) return null;
    differences.sort((a, b) => a - b);
    const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
    const variance = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (differences.length - 1);
    return {
      low: quantile(differences, 0.025), high: quantile(differences, 0.975), resamples: differences.length,
      p: variance > 0 ? tail(point / Math.sqrt(variance)) : null,
    };
  };

  const signed = (column, value) => {
    const shown = (column.unit === "fraction" ? 100 * value : value).toFixed(column.unit === "fraction" ? 1 : 3);
    return (value >= 0 ? `+${shown}` : shown.replace("-", "−"));
  };
  const shownP = (p) => p === null ? "" : (p < 0.001 ? "<0.001" : p.toFixed(3));

  const compareLine = (column, index, one, other, data) => {
    const cells = [one.cells[index], other.cells[index]];
    const shown = cells.map((cell) => `<td>${drawCell(column, cell)}</td>`).join("");
    const head = `<th scope="row">${escaped(column.heading)}</th>${shown}`;
    if (cells.some((cell) => !cell || cell[0] === null)) return `<tr>${head}<td colspan="3" class="absent">not comparable</td></tr>`;
    const point = cells[0][0] - cells[1][0];
    const sides = data.map((some) => some[column.key]);
    const found = sides.every(Boolean) ? paired(decode(sides[0]), decode(sides[1]), point) : null;
    const range = found ? `[${signed(column, found.low)}, ${signed(column, found.high)}]` : "no replicates here";
    const strong = found && (found.low > 0 || found.high < 0) ? ' class="different"' : "";
    return `<tr>${head}<td${strong} data-difference="${point}">${signed(column, point)}</td><td data-low="${found ? found.low : ""}"` +
      ` data-high="${found ? found.high : ""}">${range}</td><td data-p="${found ? found.p : ""}">${found ? shownP(found.p) : ""}</td></tr>`;
  };

  const compare = async () => {
    const ids = [byId("one").value, byId("other").value];
    state.set("compare", ids.filter(Boolean).join(","));
    save();
    const place = byId("compared");
    if (!ids[0] || !ids[1] || ids[0] === ids[1]) { place.textContent = ""; return; }
    const rows = ids.map((id) => board.rows.find((row) => row.id === id));
    let data;
    try {
      data = await Promise.all(ids.map(load));
    } catch (error) {
      place.textContent = error.message;
      return;
    }
    const body = board.columns.map((column, index) => compareLine(column, index, rows[0], rows[1], data)).join("");
    place.innerHTML = '<div class="scroll" tabindex="0" role="region" aria-label="Side by side"><table class="plain"><thead><tr>' +
      `<th scope="col">score</th><th scope="col">${escaped(rows[0].system)}</th><th scope="col">${escaped(rows[1].system)}</th>` +
      '<th scope="col">difference</th><th scope="col">95 % interval</th><th scope="col">p</th></tr></thead>' +
      `<tbody>${body}</tbody></table></div><p class="note">One minus other on the same samples: paired percentile interval from shared` +
      " bootstrap draws; p from their standard error, two-sided, not adjusted for several tests.</p>";
  };
  byId("one").addEventListener("change", compare);
  byId("other").addEventListener("change", compare);
  const wanted = (state.get("compare") || "").split(",");
  if (wanted[0]) {
    byId("one").value = wanted[0];
    byId("other").value = wanted[1] || "";
    compare();
    byId("compare-head").scrollIntoView();
  }
  save();
})();

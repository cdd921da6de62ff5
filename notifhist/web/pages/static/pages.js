// What the pages do beyond links and forms; without it all works.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const root = document.documentElement;
  const remembered = (store, name, value) => {
    try {
      if (value === undefined) return store.getItem(name);
      value === null ? store.removeItem(name) : store.setItem(name, value);
    } catch { /* it stores nothing */ }
    return null;
  };
  const say = (text) => { const status = one("#said"); if (status) status.textContent = text; };

  // Times: local ones where the URL asks for them, and ages.
  const UNITS = [["d", 864e5], ["h", 36e5], ["min", 6e4], ["s", 1e3]];
  const writeTimes = (part) => {
    if (root.dataset.tz !== "local") return;
    for (const time of all("time[datetime]", part)) {
      const date = new Date(time.dateTime);
      if (!isNaN(date)) time.textContent = date.toLocaleString("sv"); // ISO
    }
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "local time";
    for (const each of all(".zone", part)) each.textContent = zone;
  };
  const writeAges = () => {
    for (const age of all("time[datetime] + .age")) {
      const ms = Date.now() - skew - new Date(age.previousElementSibling.dateTime);
      const [unit, length] = UNITS.find(([, each]) => ms >= 2 * each) || UNITS.at(-1);
      if (ms >= 0) age.textContent = `${Math.floor(ms / length)} ${unit} ago`;
    }
  };
  // Ages are by the server's clock.
  const skew = root.dataset.now ? Date.now() - Number(root.dataset.now) : 0;

  // Copy buttons.
  const copyText = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy], [data-copy-link]");
    if (!button) return;
    event.preventDefault();
    const label = one("span", button), word = button.dataset.word ||= label.textContent;
    try {
      await copyText(button.dataset.copy || button.href);
      label.textContent = "Copied";
    } catch {
      label.textContent = "Not allowed";
    }
    say(label.textContent);
    setTimeout(() => { label.textContent = word; }, 1500);
  });

  // Filters; the URL has no empty ones, nor `shown`: a span that is chosen empties `from` and `to` here.
  const apply = (form, control) => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value && name !== "shown") query.append(name, value);
    if (control && control.id) remembered(sessionStorage, "focus", control.id);
    location.assign(form.action.split("?")[0] + (query.size ? `?${query}` : ""));
  };
  for (const form of all("form[data-filters]")) {
    let timer = 0;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(timer);
      apply(form, document.activeElement);
    });
    form.addEventListener("change", (event) => {
      if (!event.target.matches("select, [type=checkbox]")) return;
      if (event.target.name === "since") for (const each of all("[name=from], [name=to]", form)) each.value = "";
      clearTimeout(timer);
      timer = setTimeout(() => apply(form, event.target), 500); // arrow keys change it too
    });
    addEventListener("pageshow", () => form.reset());
  }
  // Where a form is not folded, the stylesheet shows it in any case, but not every browser knows how.
  if (matchMedia("(min-width: 721px)").matches) for (const each of all(".fold")) each.open = true;
  const focused = remembered(sessionStorage, "focus");
  if (focused) {
    remembered(sessionStorage, "focus", null);
    document.getElementById(focused)?.focus({ preventScroll: true });
  }

  // An item or a run opens beside its list, where there is place. The URL becomes its own.
  const at = location.href, title = document.title, wide = matchMedia("(min-width: 1100px)");
  let pane = null, opener = null, turn = 0; // an answer that is no longer waited for shows nothing
  const closePane = () => {
    if (!pane) return;
    pane.remove();
    pane = null;
    root.classList.remove("beside");
    document.title = title;
    opener?.focus({ preventScroll: true });
  };
  const openPane = async (url, mark) => {
    const mine = ++turn;
    try {
      const answer = await fetch(url, { redirect: "error", cache: "no-store" });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (mine !== turn) return;
      if (!answer.ok) throw answer;
      mark?.();
      closePane();
      pane = document.createElement("aside");
      pane.tabIndex = -1;
      pane.setAttribute("aria-label", fresh.title);
      pane.append(...one("main", fresh).childNodes);
      document.body.append(pane);
      root.classList.add("beside");
      document.title = fresh.title;
      ready(pane);
      const aim = document.getElementById(location.hash.slice(1));
      if (aim) {
        aim.classList.add("aimed");
        aim.scrollIntoView({ block: "nearest" });
      }
      pane.focus({ preventScroll: true });
    } catch {
      if (mine === turn) location.assign(url);
    }
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#rows a[data-open]");
    if (!link || !wide.matches || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    opener = link;
    openPane(link.href, () => history[pane ? "replaceState" : "pushState"](null, "", link.href));
  });
  addEventListener("popstate", () => {
    turn += 1;
    if (location.href.split("#")[0] === at.split("#")[0]) closePane();
    else openPane(location.href);
  });

  // Live rows.
  const list = one("[data-live]"), toggle = one("[data-live-toggle]");
  if (list && toggle) {
    let paused = remembered(sessionStorage, "paused") === "yes", busy = false;
    const show = (why) => {
      toggle.textContent = paused ? "Resume" : "Pause";
      toggle.closest(".live").classList.toggle("paused", paused);
      one("[data-live-word]").textContent = why || (paused ? "Paused" : "Live");
    };
    const take = (fresh) => {
      const rows = one("tbody", list), now = one("[data-live]", fresh);
      if (!rows) {
        if (now && one("tbody", now)) location.assign(at);
        return;
      }
      const known = new Set(all("tr[data-id]", rows).map((row) => row.dataset.id));
      const first = rows.firstElementChild, before = first && first.getBoundingClientRect().top;
      const fetched = all("tr[data-id]", fresh), arrived = fetched.filter((row) => !known.has(row.dataset.id));
      if (known.size && arrived[0] && arrived.length === fetched.length) return location.assign(at);
      for (const row of arrived.map((each) => document.importNode(each, true))) {
        row.classList.add("new");
        writeTimes(row);
        rows.insertBefore(row, first);
      }
      if (first && scrollY > 0) scrollBy({ top: first.getBoundingClientRect().top - before, behavior: "instant" });
      while (rows.children.length > 500 && !rows.lastElementChild.contains(document.activeElement)) {
        rows.lastElementChild.remove();
      }
      for (const part of all("[data-fresh]")) {
        const other = fresh.getElementById(part.id);
        if (other && !part.contains(document.activeElement)) part.replaceChildren(...other.childNodes);
      }
      if (!pane) document.title = fresh.title;
      if (arrived.length) say(`${arrived.length} new`);
    };
    const ask = async () => {
      if (paused || busy || document.hidden) return;
      busy = true;
      try {
        const answer = await fetch(at, { redirect: "error", cache: "no-store" });
        if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), "text/html"));
        show(answer.ok ? "" : `Waiting: answer ${answer.status}`);
      } catch {
        show("Waiting: no answer, or signed out");
      }
      busy = false;
    };
    root.classList.add("tail");
    toggle.closest(".live").hidden = false;
    toggle.addEventListener("click", () => {
      paused = !paused;
      remembered(sessionStorage, "paused", paused ? "yes" : null);
      show();
      ask();
    });
    document.addEventListener("visibilitychange", ask);
    setInterval(ask, Number(list.dataset.live) * 1000);
    show();
  }

  // Keys.
  const help = one("#keys"), off = one("#keys-off");
  const isOff = () => remembered(localStorage, "keys") === "off";
  if (help) {
    for (const button of all("[data-help]")) {
      button.hidden = false;
      button.addEventListener("click", () => help.showModal());
    }
    one("button", help).addEventListener("click", () => help.close());
    off.checked = isOff();
    off.addEventListener("change", () => remembered(localStorage, "keys", off.checked ? "off" : null));
  }
  const step = (by) => {
    const list = all("tr[data-id]"), here = list.findIndex((row) => row.contains(document.activeElement));
    const row = list[here < 0 ? (by > 0 ? 0 : list.length - 1) : here + by];
    one("a[href]", row || document.createElement("p"))?.focus();
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, [contenteditable], dialog");
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isOff()) return;
    if (typing) {
      if (event.key === "Escape" && !typing.closest("dialog")) typing.blur();
      return;
    }
    const target = one(`[data-key="${CSS.escape(event.key)}"]`);
    if (pane && event.key === "Escape") history.back();
    else if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
    else if (event.key === "?" && help) help.showModal();
    else if (target && event.key === "Escape" && document.referrer.startsWith(location.origin)) history.back();
    else if (target?.matches("input")) {
      (target.closest(".fold") || {}).open = true;
      target.focus();
      target.select();
    } else if (target) target.click();
    else return;
    event.preventDefault();
  });

  const ready = (part) => {
    for (const button of all("[data-copy]", part)) button.hidden = false;
    writeTimes(part);
  };
  ready(document);
  setInterval(writeAges, 30000);
})();

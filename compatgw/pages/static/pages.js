// What pages can do beyond being read. Without it everything is there: links choose, panels stand below each other.
"use strict";

(() => {
  const page = document.documentElement;
  const root = page.dataset.root;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const announcer = document.querySelector("[data-announcer]");
  const say = (words) => { announcer.textContent = ""; setTimeout(() => { announcer.textContent = words; }, 50); };
  const keep = (name, value) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${value}; Path=${root || "/"}; Max-Age=31536000; SameSite=Lax${secure}`;
  };

  // --- copying
  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "unseen";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  for (const button of all("[data-copy]")) {
    button.hidden = false;
    const words = button.firstChild;
    const label = words.textContent;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      if (!await copied("value" in source ? source.value : source.textContent)) return;
      words.textContent = button.dataset.done;
      button.classList.add("done");
      say(announcer.dataset.copied);
      setTimeout(() => { words.textContent = label; button.classList.remove("done"); }, 1800);
    });
  }

  // --- theme
  for (const link of all("[data-theme-choice]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const choice = link.dataset.themeChoice;
      page.dataset.theme = choice;
      document.querySelector('meta[name="color-scheme"]').content = choice === "auto" ? "light dark" : choice;
      keep("cgw_theme", choice);
      for (const each of all("[data-theme-choice]")) each.toggleAttribute("aria-current", false);
      link.setAttribute("aria-current", "true");
    });
  }

  // --- tabs: panels become a tab list; arrows, Home and End move in it
  const tabbed = (group) => {
    const panels = all(":scope > .panel", group);
    const list = document.createElement("div");
    list.className = "tabs";
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", group.dataset.tabs);
    const tabs = panels.map((panel, place) => {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.id = `${panel.id}-tab`;
      tab.textContent = panel.dataset.tab;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      tab.addEventListener("click", () => show(place, true));
      list.append(tab);
      return tab;
    });
    const show = (chosen, ours) => {
      tabs.forEach((tab, place) => {
        tab.setAttribute("aria-selected", String(place === chosen));
        tab.tabIndex = place === chosen ? 0 : -1;
        panels[place].hidden = place !== chosen;
      });
      // Whoever reads Python here reads it in every group of the same kind.
      if (ours && group.dataset.kin) {
        for (const other of all(`[data-kin="${group.dataset.kin}"]`)) {
          if (other !== group) other.dispatchEvent(new CustomEvent("choose", { detail: panels[chosen].dataset.tab }));
        }
      }
    };
    group.addEventListener("choose", (event) => {
      if (event.target !== group) return;
      const place = panels.findIndex((panel) => panel.dataset.tab === event.detail);
      if (place >= 0) show(place, false);
    });
    list.addEventListener("keydown", (event) => {
      const here = tabs.indexOf(document.activeElement);
      const moves = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: tabs.length - 1 };
      if (here < 0 || !(event.key in moves)) return;
      event.preventDefault();
      const next = (moves[event.key] + tabs.length) % tabs.length;
      show(next, true);
      tabs[next].focus();
    });
    group.prepend(list);
    group.classList.add("tabbed");
    show(0, false);
  };
  all("[data-tabs]").forEach(tabbed);

  // --- models: a tag puts its name into every snippet of its kind
  const inText = (name) => JSON.stringify(name).slice(1, -1);
  const spelled = { json: inText, shell: (name) => inText(name).replaceAll("'", "'\\''"), plain: (name) => name };
  for (const tags of all("[data-choose]")) {
    const kind = tags.dataset.choose;
    tags.addEventListener("click", (event) => {
      const tag = event.target.closest("a");
      if (!tag || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const name = tag.textContent;
      for (const place of all(`[data-model="${kind}"]`)) place.textContent = spelled[place.dataset.spelled](name);
      for (const each of all("a[aria-current]", tags)) each.removeAttribute("aria-current");
      tag.setAttribute("aria-current", "true");
      say(name);
    });
  }

  // --- search: hides what does not have all of its words
  for (const field of all("[data-filter]")) {
    field.closest("[data-needs-script]")?.removeAttribute("hidden");
    const items = () => all(field.dataset.filter);
    const none = document.getElementById(field.dataset.none);
    const filter = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const item of items()) {
        const text = (item.dataset.text || item.textContent).toLowerCase();
        item.hidden = !words.every((word) => text.includes(word));
        left += item.hidden ? 0 : 1;
      }
      if (none) none.hidden = left > 0;
    };
    field.addEventListener("input", filter);
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      items().find((item) => !item.hidden)?.querySelector("a")?.click();
    });
    filter();
  }

  // --- times in the viewer's zone
  const clock = new Intl.DateTimeFormat(page.dataset.locale, { dateStyle: "medium", timeStyle: "short" });
  const localTimes = (within = document) => {
    for (const time of all("time[data-instant]", within)) {
      const instant = new Date(time.dateTime);
      if (!Number.isNaN(instant.valueOf())) { time.textContent = clock.format(instant); time.title = time.dateTime; }
    }
  };
  localTimes();

  // --- health: asks the gateway again and again while somebody looks
  const duration = (seconds) => {
    const parts = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
    const words = [];
    const told = (unit, count) => new Intl.NumberFormat(page.dataset.locale, { style: "unit", unit, unitDisplay: "long" }).format(count);
    for (const [unit, size] of parts) {
      const count = Math.floor(seconds / size);
      seconds -= count * size;
      if (count && words.length < 2) words.push(told(unit, count));
    }
    return words.join(" ") || told("second", 0);
  };
  for (const card of all("[data-health]")) {
    const words = JSON.parse(card.dataset.words);
    const state = card.querySelector("[data-state]");
    const put = (name, text) => { const place = card.querySelector(`[data-fact="${name}"]`); if (place) place.textContent = text; };
    const tell = (found) => {
      if (state.dataset.state === found) return;
      state.dataset.state = found;
      state.className = `state state-${found}`;
      state.textContent = words[found];
    };
    const ask = async () => {
      try {
        const answer = await fetch(card.dataset.health, { signal: AbortSignal.timeout(4000), cache: "no-store", credentials: "omit" });
        const { data } = await answer.json();
        tell(answer.ok ? data.health : "down");
        put("version", data.version);
        put("uptime", duration(data.uptime_s));
      } catch {
        tell("down");
      }
      put("checked", clock.format(new Date()));
    };
    tell("checking");
    put("checked", "");
    const loop = async () => { if (!document.hidden) await ask(); setTimeout(loop, 5000); };
    document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
    loop();
  }

  // --- questions before what cannot be undone
  for (const form of all("form[data-confirm]")) {
    form.addEventListener("submit", (event) => { if (!confirm(form.dataset.confirm)) event.preventDefault(); });
  }
})();

// What is looked at in the console: numbers under the pointer, states that come anew, answers that come bit by bit.
// Without it pictures have tables, pages are loaded again, and answers come whole.
"use strict";

(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const locale = document.documentElement.dataset.locale;
  const csrf = document.body.dataset.csrf;
  const made = (name, text, parent) => {
    const element = document.createElement(name);
    element.textContent = text;
    parent?.append(element);
    return element;
  };

  // --- hours in the viewer's zone, days as the language writes them
  for (const charts of all("[data-step]")) {
    const start = Number(charts.dataset.start) * 1000;
    const hours = charts.dataset.step === "hour";
    const many = all("tbody", charts).some((body) => body.rows.length > 24);
    const zone = hours ? undefined : "UTC";
    const long = new Intl.DateTimeFormat(locale, hours ? { dateStyle: "medium", timeStyle: "short" } : { dateStyle: "medium", timeZone: zone });
    const brief = new Intl.DateTimeFormat(locale, hours && !many ? { timeStyle: "short" } : { day: "numeric", month: "short", timeZone: zone });
    const at = (place) => new Date(start + place * (hours ? 3_600_000 : 86_400_000));
    for (const mark of all("[data-place]", charts)) mark.textContent = brief.format(at(Number(mark.dataset.place)));
    for (const body of all("tbody", charts)) [...body.rows].forEach((row, place) => { row.cells[0].textContent = long.format(at(place)); });
    if (hours) for (const hint of all("[data-zone]")) hint.textContent = hint.dataset.zone;
  }

  // --- numbers under the pointer: a row of the table, in words
  for (const figure of all("[data-chart]")) {
    const picture = figure.querySelector(".plot > svg");
    const body = figure.querySelector("tbody");
    const out = figure.querySelector("[data-readout]");
    if (!picture || !out) continue;
    out.hidden = false;
    const names = all("thead th", figure).slice(1).map((head) => head.textContent);
    const guide = document.createElementNS("http://www.w3.org/2000/svg", "line");
    guide.setAttribute("class", "guide");
    guide.setAttribute("y2", "100%");
    const show = (event) => {
      const box = picture.getBoundingClientRect();
      const count = body.rows.length;
      const place = Math.min(count - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * count)));
      const cells = [...body.rows[place].cells].map((cell) => cell.textContent.trim());
      out.replaceChildren(made("b", cells[0]), ...names.flatMap((name, n) => cells[n + 1] ? [` · ${name}: `, made("b", cells[n + 1])] : []));
      guide.setAttribute("x1", `${(place + 0.5) / count * 100}%`);
      guide.setAttribute("x2", `${(place + 0.5) / count * 100}%`);
      picture.append(guide);
    };
    const hide = () => { out.replaceChildren(); guide.remove(); };
    const plot = picture.parentElement;
    plot.addEventListener("pointermove", show);
    plot.addEventListener("pointerdown", show);
    plot.addEventListener("pointerleave", hide);
  }

  // --- buttons that take a while say so
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (event.defaultPrevented || !button?.dataset.busy) return;
    const words = button.firstChild.textContent;
    button.firstChild.textContent = button.dataset.busy;
    addEventListener("pageshow", () => { button.firstChild.textContent = words; }, { once: true });
  });
  document.getElementById("tried")?.focus();

  const clock = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  // --- states come anew while somebody is there: one who left for ten minutes is not kept logged in by this
  for (const part of all("[data-refresh]")) {
    let seen = Date.now();
    for (const kind of ["pointermove", "keydown", "scroll"]) addEventListener(kind, () => { seen = Date.now(); }, { passive: true });
    for (const hint of all("[data-refreshing]", part)) hint.textContent = hint.dataset.refreshing;
    const again = async () => {
      if (!document.hidden && Date.now() - seen < 600_000 && !part.contains(document.activeElement)) {
        try {
          const address = new URL(location.href);
          address.searchParams.delete("done");
          const answer = await fetch(address, { headers: { accept: "text/html" }, redirect: "error" });
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
          // Whoever is about to press something in it keeps it as it is.
          if (fresh && !part.contains(document.activeElement) && !part.matches(":active")) {
            const places = all(".scroll", part).map((each) => each.scrollLeft);
            part.replaceChildren(...[...fresh.childNodes].map((node) => document.adoptNode(node)));
            all(".scroll", part).forEach((each, n) => { each.scrollLeft = places[n] ?? 0; });
            for (const hint of all("[data-refreshing]", part)) hint.textContent = hint.dataset.refreshing;
            for (const time of all("time[data-instant]", part)) { time.title = time.dateTime; time.textContent = clock.format(new Date(time.dateTime)); }
          }
        } catch { /* The next time tells. */ }
      }
      setTimeout(again, Number(part.dataset.refresh) * 1000);
    };
    setTimeout(again, Number(part.dataset.refresh) * 1000);
  }

  // --- the playground
  const bench = document.querySelector("[data-playground]");
  if (!bench) return;
  const form = bench.querySelector("form");
  const part = (name) => bench.querySelector(`[data-${name}]`);
  const fact = (name, text) => { bench.querySelector(`[data-fact="${name}"]`).textContent = text; };
  const number = new Intl.NumberFormat(locale);
  const money = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 9 });
  const time = (ms) => ms < 1000 ? `${number.format(Math.round(ms))} ms` : `${number.format(Math.round(ms / 10) / 100)} s`;
  const stop = part("stop");
  for (const each of all("[data-needs-script]", bench)) each.hidden = false;
  form.querySelector(":scope > .actions").append(stop);
  let going = null;

  const problem = (text) => { part("problem").hidden = !text; part("problem").textContent = text; };
  const send = async (path, signal) => {
    const answer = await fetch(`${bench.dataset.playground}/${path}`, {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { "x-csrf-token": csrf }, signal,
    });
    return answer;
  };
  // What is wrong stands by its field where it has one, else with the answer.
  const wrong = (param, text) => {
    for (const field of all("[aria-invalid]", form)) field.removeAttribute("aria-invalid");
    for (const each of all(".field .error", form)) each.remove();
    for (const each of all(".wrong", form)) each.classList.remove("wrong");
    if (!param) return false;
    const name = param.split(/[.[]/)[0];
    const field = form.elements[name === "messages" ? "prompt" : name];
    const place = field?.closest?.(".field");
    if (!place) return false;
    place.classList.add("wrong");
    const words = made("p", text, place);
    words.className = "error";
    words.id = `${field.id}-wrong`;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", words.id);
    for (let each = field.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
    field.focus();
    return true;
  };
  const refused = async (answer) => {
    let text = String(answer.status), param = null;
    try {
      const { error } = await answer.json();
      [text, param] = [`${answer.status} ${error.code}: ${error.message}`, error.param];
      if (wrong(param, error.message)) return;
    } catch { /* No envelope: the status is all there is. */ }
    problem(text);
  };
  const clear = () => {
    problem("");
    wrong(null);
    part("empty")?.remove();
    for (const name of ["said", "reasoning", "headers"]) part(name).replaceChildren();
    for (const name of ["thinking", "head", "facts"]) part(name).hidden = true;
    for (const name of ["status", "target", "tokens", "cost", "first", "took"]) fact(name, "–");
  };
  const counted = (usage) => {
    if (!usage) return;
    const words = bench.querySelector('[data-fact="tokens"]').dataset.text;
    fact("tokens", words.replace("%in", () => number.format(usage.prompt_tokens)).replace("%out", () => number.format(usage.completion_tokens)));
    priced(usage.cost);
  };
  const priced = (cost) => { if (cost !== undefined && cost !== null) fact("cost", `${money.format(cost)} ${bench.dataset.currency}`); };
  const spoken = (message) => {
    const thought = message.reasoning_content ?? message.reasoning;
    if (thought) { part("thinking").hidden = false; part("reasoning").append(thought); }
    if (message.content) part("said").append(message.content);
    for (const call of message.tool_calls ?? []) {
      if (call.function?.name) part("said").append(`\n${call.function.name} `);
      if (call.function?.arguments) part("said").append(call.function.arguments);
    }
    return Boolean(thought || message.content || message.tool_calls?.length);
  };
  const lines = async function* (body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      yield* parts;
    }
  };
  const streamed = async (answer, began) => {
    let first = true, ended = false;
    for await (const line of lines(answer.body)) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") { ended = true; continue; }
      const event = JSON.parse(data);
      if (event.error) { problem(`${event.error.code}: ${event.error.message}`); ended = true; continue; }
      for (const choice of event.choices ?? []) {
        if (spoken(choice.delta ?? {}) && first) { first = false; fact("first", time(performance.now() - began)); }
      }
      counted(event.usage);
    }
    if (!ended) problem(bench.dataset.broken);
  };
  const asked = async (signal) => {
    clear();
    bench.querySelector("#answer").classList.add("running");
    const plan = await send("plan", signal);
    if (!plan.ok) { await refused(plan); return; }
    const page = new DOMParser().parseFromString(await plan.text(), "text/html");
    part("plan").replaceChildren(...[...page.querySelector("[data-plan]").childNodes].map((node) => document.adoptNode(node)));
    document.querySelector("#sent code").textContent = page.querySelector("[data-request]").textContent;
    part("sent").hidden = false;
    if (form.elements.only_plan.checked) { fact("cost", "–"); return; }
    const began = performance.now();
    const answer = await send("run", signal);
    part("facts").hidden = part("head").hidden = false;
    fact("status", answer.status);
    for (const [name, value] of [...answer.headers].sort()) {
      if (!/^(x-|age$|server-timing$|retry-after$)/.test(name) || /^x-(accel-buffering|content-type-options|frame-options|robots-tag)$/.test(name)) continue;
      const row = part("headers").insertRow();
      const head = made("th", "", row);
      head.scope = "row";
      made("code", name, head);
      made("td", value, row);
    }
    const provider = answer.headers.get("x-provider");
    if (provider) fact("target", `${provider}/${answer.headers.get("x-model-used") ?? ""}`);
    if (!answer.ok) { await refused(answer); fact("took", time(performance.now() - began)); return; }
    fact("cost", bench.querySelector('[data-fact="cost"]').dataset.none);
    if (answer.headers.get("content-type").startsWith("text/event-stream")) {
      await streamed(answer, began);
    } else {
      const whole = await answer.json();
      for (const choice of whole.choices ?? []) spoken(choice.message ?? {});
      counted(whole.usage);
      const cost = answer.headers.get("x-cost");
      if (cost !== null) priced(Number(cost));
    }
    fact("took", time(performance.now() - began));
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (going) return;
    going = new AbortController();
    stop.disabled = false;
    try {
      await asked(going.signal);
    } catch (failure) {
      if (failure.name !== "AbortError") problem(String(failure.message ?? failure));
    } finally {
      going = null;
      stop.disabled = true;
      bench.querySelector("#answer").classList.remove("running");
      document.querySelector("[data-announcer]").textContent = part("problem").textContent || part("said").textContent;
    }
  });
  stop.addEventListener("click", () => going?.abort());
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
  });
})();

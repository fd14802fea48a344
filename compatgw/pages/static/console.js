// What the console can do beyond being read. Without it every form and every link works.
"use strict";

(() => {
  // --- what was said once is not said again by a reload
  const address = new URL(location.href);
  if (address.searchParams.has("done")) {
    address.searchParams.delete("done");
    history.replaceState(null, "", address);
  }

  // --- on a phone the place where one is may lie beside the screen
  const here = document.querySelector(".top nav [aria-current]");
  if (here) {
    // Scrolling it into view would have the Tab key go on from there.
    const row = here.closest("ul"), [inner, outer] = [here.getBoundingClientRect(), row.getBoundingClientRect()];
    row.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
  }

  // --- a second press sends nothing a second time
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    // The browser's way back shows the page as it was left, and an answer may never come.
    const again = () => { delete form.dataset.sent; };
    addEventListener("pageshow", again, { once: true });
    setTimeout(again, 10000);
  });

  // --- one more message of a prompt
  for (const button of document.querySelectorAll("[data-add-block]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const blocks = [...button.parentElement.querySelectorAll("[data-block]")];
      const block = blocks.at(-1).cloneNode(true);
      for (const label of block.querySelectorAll(".unseen")) {
        label.textContent = label.textContent.replace(/\d+/, String(blocks.length + 1));
      }
      const text = block.querySelector("textarea");
      text.value = "";
      button.before(block);
      text.focus();
    });
  }

  // --- questions: their page, in a dialog
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => {
    // Outside of it, or what says no.
    if (event.target === dialog || event.target.closest("[data-close]")) { event.preventDefault(); dialog.close(); }
  });
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    try {
      const answer = await fetch(link.href, { headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const question = page.querySelector("[data-question]");
      if (!question) throw new Error("no question");
      dialog.replaceChildren(document.adoptNode(question));
      dialog.setAttribute("aria-labelledby", "question-title");
      dialog.showModal();
    } catch {
      location.assign(link.href);
    }
  });
})();

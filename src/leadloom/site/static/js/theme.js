/* Light or dark, before the first paint. The choice is kept in this browser; without one the system decides. */
(() => {
  const KEY = "leadloom-theme";
  const root = document.documentElement;
  const read = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is switched off: the system decides
    }
  };
  const show = (theme) => {
    if (theme) root.dataset.theme = theme;
  };
  show(read());

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const next = (root.dataset.theme ?? system) === "dark" ? "light" : "dark";
    show(next);
    try {
      localStorage.setItem(KEY, next);
    } catch {
      /* it holds for this page */
    }
  });
  document.addEventListener("storage", () => show(read()));
})();

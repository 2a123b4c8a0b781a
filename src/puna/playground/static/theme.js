// Loaded in the head and blocking, so that a page whose theme was toggled never flashes the other one.
(() => {
  const theme = localStorage.getItem("puna.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
